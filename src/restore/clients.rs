//! Who asks the cluster that is restored to.

use std::sync::Arc;

use super::Result;
use super::plan::GROUP;
use crate::kafka::{Admin, Cluster, TopicAdmin};

/// Kept for the whole restore: each has connections of its own, and takes a
/// tenth of a second to close.
pub(super) struct Clients {
    pub cluster: Arc<Cluster>,
    pub topics: TopicAdmin,
    pub offsets: Admin,
}

impl Clients {
    /// Connects to nothing yet.
    pub fn open(cluster: Arc<Cluster>) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            topics: TopicAdmin::open(&cluster)?,
            offsets: Admin::open(&cluster, GROUP)?,
            cluster,
        }))
    }
}
