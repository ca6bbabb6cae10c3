//! Counts of a topic, taken anew.

use crate::verify::finding::Repair;
use crate::verify::{Result, Verifier};

impl Verifier {
    pub(in crate::verify) async fn mend_counts(&self, topic: &str) -> Result<Option<Repair>> {
        if self.mending.is_none() {
            return Ok(None);
        }
        let name = topic.to_owned();
        if !self.is_dry_run() {
            self.ask(move |catalogue| catalogue.upkeep().recount(&name))
                .await?;
        }
        Ok(Some(Repair {
            topic: Some(topic.to_owned()),
            ..Repair::done("its rows are counted anew")
        }))
    }
}
