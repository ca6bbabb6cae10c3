//! What is to be restored where, and whether it may be.

use std::collections::{BTreeMap, BTreeSet};

use super::begin::{Ask, Begin};
use super::{Restorer, Result, target};
use crate::catalogue::{StreamExtent, StreamFilter};
use crate::kafka::{GroupNote, TopicPartition, TopicSettings};

/// What the groups and the transactional ids of restores begin with.
pub(super) const GROUP: &str = "archive_ingest.restore.";

/// One topic of the archive that goes to one of Kafka.
#[derive(Clone, Debug)]
pub struct Job {
    pub target: String,
    /// The topic is that of the archive.
    pub filter: StreamFilter,
    /// The selection in words, the same for the same selection.
    pub asked: String,
    pub extent: StreamExtent,
}

/// What stands against a restore, and what of it is done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Why it is refused, one line each.
    pub refused: Vec<String>,
    /// Topics that would be made.
    pub to_make: BTreeSet<String>,
    /// Records of each job that are on the target already.
    pub there: Vec<u64>,
}

impl Job {
    pub fn topic(&self) -> &str {
        &self.filter.topic
    }

    /// The group whose offsets have the note.
    pub(super) fn group(&self) -> String {
        format!("{GROUP}{}", self.topic())
    }

    /// Of whoever restores this topic there, one at a time.
    pub(super) fn transactional_id(&self) -> String {
        format!("{GROUP}{}>{}", self.topic(), self.target)
    }

    pub(super) fn ask<'a>(&'a self, bucket: &'a str, append: bool) -> Ask<'a> {
        Ask {
            target: &self.target,
            bucket,
            asked: &self.asked,
            newest: self.extent.newest,
            append,
        }
    }
}

impl Restorer {
    /// What a filter selects. Blocks.
    pub fn job(&self, target: &str, filter: StreamFilter, asked: &str) -> Result<Job> {
        let extent = self.catalogue.streams().extent(&filter)?;
        Ok(Job {
            target: target.to_owned(),
            filter,
            asked: asked.to_owned(),
            extent,
        })
    }

    /// Looks at the targets, and changes nothing. `now` is ms since 1970-01-01
    /// UTC. Blocks.
    pub fn plan(&self, jobs: &[Job], now: i64) -> Result<Plan> {
        let targets: BTreeSet<&str> = jobs.iter().map(|job| &*job.target).collect();
        let targets: Vec<&str> = targets.into_iter().collect();
        let settings = self.clients.topics.settings(&targets)?;
        let filled = self.filled(&settings)?;
        let mut plan = Plan::default();
        for job in jobs {
            let Some(of_target) = settings.get(&job.target) else {
                self.plan_missing(job, &mut plan);
                continue;
            };
            let by_key = self.options.by_key;
            let problems = target::problems(&job.target, of_target, &job.extent, by_key, now);
            plan.refused.extend(problems);
            let note = GroupNote::open(&self.clients.cluster, &job.group(), &job.target)?.read()?;
            let is_empty = !filled.contains(&job.target);
            plan.there
                .push(match self.begin(job, note.as_deref(), is_empty) {
                    Begin::Refused(why) => {
                        plan.refused.push(why);
                        0
                    }
                    Begin::New(note) => note.earlier,
                    Begin::Resume(note) | Begin::Complete(note) => note.earlier + note.restored(),
                });
        }
        Ok(plan)
    }

    pub(super) fn begin(&self, job: &Job, note: Option<&str>, is_empty: bool) -> Begin {
        let bucket = self.store.bucket();
        job.ask(bucket, self.options.append).begin(note, is_empty)
    }

    fn plan_missing(&self, job: &Job, plan: &mut Plan) {
        plan.there.push(0);
        match self.options.create_topics {
            true => {
                plan.to_make.insert(job.target.clone());
            }
            false => plan.refused.push(format!(
                "there is no topic {}: --create-topics makes it, with settings that keep everything",
                job.target
            )),
        }
    }

    /// Topics that have any record.
    fn filled(&self, settings: &BTreeMap<String, TopicSettings>) -> Result<BTreeSet<String>> {
        let partitions: Vec<TopicPartition> = settings
            .iter()
            .flat_map(|(topic, of)| (0..of.partitions).map(|p| TopicPartition::new(topic, p)))
            .collect();
        let offsets = self.clients.offsets.offsets(&partitions)?;
        Ok(offsets
            .into_iter()
            .filter(|(_, at)| at.end > at.start)
            .map(|(partition, _)| partition.topic.to_string())
            .collect())
    }

    /// Makes the targets that do not exist. Blocks.
    pub fn make_topics(&self, jobs: &[Job], plan: &Plan) -> Result<()> {
        for topic in &plan.to_make {
            let extents = jobs.iter().filter(|job| job.target == *topic);
            // Several topics may go into one.
            let extent = extents.fold(StreamExtent::default(), |all, job| StreamExtent {
                largest: all.largest.max(job.extent.largest),
                partitions: all.partitions.max(job.extent.partitions),
                ..all
            });
            let partitions = extent.partitions.max(1);
            self.clients
                .topics
                .make(topic, partitions, &target::settings_for(&extent))?;
        }
        Ok(())
    }
}
