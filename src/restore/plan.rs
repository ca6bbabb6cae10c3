//! What is to be restored where, and whether it may be.

use std::collections::{BTreeMap, BTreeSet};

use super::begin::{Ask, Begin, TargetState};
use super::clients::Clients;
use super::note::TargetLife;
use super::{Restorer, Result, target};
use crate::catalogue::{CatalogueState, StreamExtent, StreamFilter};
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
}

impl Clients {
    /// The targets as they are now, of those that exist. Blocks.
    pub(super) fn states(
        &self,
        settings: &BTreeMap<String, TopicSettings>,
    ) -> Result<BTreeMap<String, TargetState>> {
        let partitions: Vec<TopicPartition> = settings
            .iter()
            .flat_map(|(topic, of)| (0..of.partitions).map(|p| TopicPartition::new(topic, p)))
            .collect();
        let names: Vec<&str> = settings.keys().map(String::as_str).collect();
        let ids = self.offsets.topic_ids(&names)?;
        let offsets = self.offsets.offsets(&partitions)?;
        let mut states: BTreeMap<String, TargetState> = names
            .into_iter()
            .map(|name| {
                let life = TargetLife {
                    topic_id: ids.get(name).map(ToString::to_string),
                    starts: 0,
                };
                (name.to_owned(), TargetState { life, offsets: 0 })
            })
            .collect();
        for (partition, at) in offsets {
            if let Some(state) = states.get_mut(&*partition.topic) {
                state.life.starts = state.life.starts.saturating_add(at.start);
                state.offsets += u64::try_from(at.end - at.start).unwrap_or_default();
            }
        }
        Ok(states)
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
        let states = self.clients.states(&settings)?;
        let catalogue = self.catalogue.upkeep().state()?;
        let mut plan = Plan::default();
        plan.refused.extend(catalogue.incomplete());
        for job in jobs {
            let Some(of_target) = settings.get(&job.target) else {
                self.plan_missing(job, &mut plan);
                continue;
            };
            let by_key = self.options.by_key;
            let problems = target::problems(&job.target, of_target, &job.extent, by_key, now);
            plan.refused.extend(problems);
            let (cluster, group) = (&self.clients.cluster, job.group());
            let note = GroupNote::open_to_look(cluster, &group, &job.target)?.read()?;
            let state = states.get(&job.target).cloned().unwrap_or_default();
            plan.there
                .push(match self.begin(job, note.as_deref(), &state, &catalogue) {
                    Begin::Refused(why) => {
                        plan.refused.push(why);
                        0
                    }
                    Begin::New(note) => note.earlier,
                    Begin::Resume(note) | Begin::Complete(note) => note.total(),
                });
        }
        Ok(plan)
    }

    pub(super) fn begin(
        &self,
        job: &Job,
        note: Option<&str>,
        state: &TargetState,
        catalogue: &CatalogueState,
    ) -> Begin {
        let ask = Ask {
            target: &job.target,
            bucket: self.store.bucket(),
            asked: &job.asked,
            catalogue: catalogue.id,
            state,
            newest: job.extent.newest,
            append: self.options.append,
        };
        ask.begin(note)
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
