//! The producer as one of the loops of `run`: opened, watched, and the demo
//! kernel that goes on making entities.

use std::sync::Arc;

use tracing::{error, info};

use super::Exit;
use super::loops::Loop;
use super::open::{self, Publishing};
use super::producer_watch::RunningProducer;
use crate::config::{KernelConfig, PublishingConfig};
use crate::entities;
use crate::kafka::Cluster;
use crate::produce::{Outcome, Pass};
use crate::shutdown::Shutdown;

/// A producer with everything that it works with.
pub(super) struct Producing {
    publishing: Publishing,
    cluster: Arc<Cluster>,
    kernel: KernelConfig,
    idle_limit: std::time::Duration,
}

impl Producing {
    /// Kernel and positions are waited for. Blocks.
    pub fn open(chosen: PublishingConfig, cluster: &Arc<Cluster>) -> anyhow::Result<Self> {
        let (kernel, idle_limit) = (chosen.kernel.clone(), chosen.produce.idle_limit);
        let publishing = open::publishing_on(chosen, cluster)?;
        if cluster.is_mock() {
            // Its groups take long to notice topics that come later.
            publishing.producer.make_topics()?;
        }
        Ok(Self {
            publishing,
            cluster: cluster.clone(),
            kernel,
            idle_limit,
        })
    }

    /// For the listeners.
    pub fn running(&self) -> Arc<RunningProducer> {
        let control = self.publishing.producer.control();
        Arc::new(RunningProducer::new(
            control,
            &self.cluster,
            self.idle_limit,
        ))
    }

    /// Until told to end. Whatever fails meanwhile is told and tried again.
    pub fn into_loop(self) -> Loop {
        Loop::new("producer", move |shutdown| {
            let producer = &self.publishing.producer;
            info!(
                "publishing entities of {} on {}, positions in {}",
                producer.control().source(),
                self.cluster.name(),
                self.publishing.positions.name()
            );
            // The demo makes new entities for as long as this lives.
            let _demo = entities::start_demo(&self.kernel, shutdown.clone())?;
            producer.run(shutdown);
            Ok(Exit::Clean)
        })
    }

    /// One pass over what is new. Exit 1 when entities went into the quarantine,
    /// 3 when a type could not be published to its end.
    pub fn once(&self, shutdown: &Shutdown) -> anyhow::Result<Exit> {
        let producer = &self.publishing.producer;
        let outcomes = producer.run_once(|_, _| true, Pass::New, shutdown)?;
        let mut exit = Exit::Clean;
        for outcome in outcomes.values() {
            info!(
                "{}: {} entities published",
                outcome.topic, outcome.published
            );
            exit = exit.worse(exit_of(outcome));
        }
        Ok(exit)
    }
}

fn exit_of(outcome: &Outcome) -> Exit {
    match (&outcome.trouble, outcome.quarantined) {
        (Some(trouble), _) => {
            error!("{}: {trouble}", outcome.topic);
            Exit::Failed
        }
        (None, 0) => Exit::Clean,
        (None, count) => {
            error!("{}: {count} entities are in the quarantine", outcome.topic);
            Exit::Found
        }
    }
}
