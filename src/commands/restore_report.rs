//! What `restore` prints: progress, what it leaves out, and a report.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar};
use serde_json::{Value, json};
use tracing::info;
use uuid::Uuid;

use super::output::{self, Stdout};
use super::verify_report::bar;
use super::verify_summary::tenths;
use super::{Exit, table};
use crate::restore::{Ending, Job, LeftOut, Near, Outcome, Plan, Progress, Why};

/// Named in the report; of more only the number is told there.
const NAMED: usize = 10_000;

/// Between two lines of progress where no bar is shown.
const SAY_AGAIN: Duration = Duration::from_secs(10);

pub(super) struct Report {
    json: bool,
    dry_run: bool,
    started: Instant,
    /// What was there before, for the rate.
    there: u64,
    bar: Option<ProgressBar>,
    said: Instant,
    left_out: Vec<LeftOut>,
    left_out_count: u64,
    pub direct_uploads: Vec<Uuid>,
}

impl Report {
    /// `unknown`: what was asked for and the archive does not have; told at once.
    pub fn new(json: bool, dry_run: bool, unknown: Vec<Uuid>) -> Self {
        let now = Instant::now();
        let mut report = Self {
            json,
            dry_run,
            started: now,
            there: 0,
            bar: None,
            said: now,
            left_out: vec![],
            left_out_count: 0,
            direct_uploads: vec![],
        };
        for uuid in unknown {
            report.left_out(LeftOut {
                uuid,
                topic: None,
                partition: None,
                offset: None,
                key: None,
                why: Why::Unknown,
                cause: "the archive has no such message".to_owned(),
            });
        }
        report
    }

    /// One line on stderr at once.
    pub fn left_out(&mut self, one: LeftOut) {
        let at = match (&one.topic, one.partition, one.offset) {
            (Some(topic), Some(partition), Some(offset)) => {
                format!(" ({topic}, partition {partition}, offset {offset})")
            }
            (Some(topic), ..) => format!(" ({topic})"),
            _ => String::new(),
        };
        let line = format!("message {}{at} is left out: {}", one.uuid, one.cause);
        match &self.bar {
            Some(bar) => bar.suspend(|| output::error(&line)),
            None => output::error(&line),
        }
        self.left_out_count += 1;
        if self.left_out.len() < NAMED {
            self.left_out.push(one);
        }
    }

    pub fn has_left_out(&self) -> bool {
        self.left_out_count > 0
    }

    pub fn begin(&mut self, jobs: &[Job], plan: &Plan, progress: &Progress) {
        let records = |job: &Job| job.extent.messages + job.extent.retries;
        progress.expect(jobs.iter().map(records).sum());
        self.there = plan.there.iter().sum();
        self.started = Instant::now();
        self.bar = (!self.json && io::stderr().is_terminal()).then(bar);
        if let Some(bar) = &self.bar {
            bar.set_message("records");
        }
    }

    pub fn progress(&mut self, progress: &Progress) {
        let (done, expected) = (progress.records(), progress.expected());
        if let Some(bar) = &self.bar {
            bar.set_length(expected.max(done));
            bar.set_position(done);
        } else if self.said.elapsed() >= SAY_AGAIN {
            self.said = Instant::now();
            let seconds = self.started.elapsed().as_secs_f64();
            let rate = done.saturating_sub(self.there) as f64 / seconds;
            let left = expected.saturating_sub(done) as f64;
            let eta = (rate > 0.0).then(|| (left / rate).ceil());
            info!(
                done,
                expected,
                rate = tenths(rate),
                eta_seconds = eta,
                "restoring"
            );
        }
    }

    pub fn end_progress(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    pub fn plan(&self, jobs: &[Job], plan: &Plan, refused: &[String]) -> io::Result<()> {
        let mut out = Stdout::new();
        if self.json {
            out.json_line(&self.plan_json(jobs, plan, refused))?;
            return out.flush();
        }
        let rows = jobs.iter().zip(&plan.there).map(|(job, there)| {
            let extent = &job.extent;
            [
                job.topic().to_owned(),
                job.target.clone(),
                extent.messages.to_string(),
                extent.retries.to_string(),
                HumanBytes(extent.bytes).to_string(),
                output::time(extent.earliest),
                output::time(extent.latest),
                extent.partitions.to_string(),
                there.to_string(),
                near_of(job).to_string(),
            ]
        });
        let columns = [
            "topic",
            "to",
            "messages",
            "retries",
            "bytes",
            "earliest",
            "latest",
            "partitions",
            "there",
            "near",
        ];
        out.write_all(table::render(columns, rows).as_bytes())?;
        for topic in &plan.to_make {
            writeln!(out, "topic {topic} would be made")?;
        }
        out.flush()
    }

    fn plan_json(&self, jobs: &[Job], plan: &Plan, refused: &[String]) -> Value {
        let topics: Vec<Value> = jobs
            .iter()
            .zip(&plan.there)
            .map(|(job, there)| {
                let extent = &job.extent;
                json!({
                    "topic": job.topic(),
                    "to": job.target,
                    "messages": extent.messages,
                    "retries": extent.retries,
                    "bytes": extent.bytes,
                    "earliest": extent.earliest,
                    "latest": extent.latest,
                    "partitions": extent.partitions,
                    "there": there,
                    "would_make": plan.to_make.contains(&job.target),
                    "near": near_of(job),
                    "direct_uploads": extent.direct_uploads,
                })
            })
            .collect();
        json!({
            "dry_run": true,
            "topics": topics,
            "refused": refused,
            "left_out": self.left_out,
            "direct_uploads": self.direct_uploads,
        })
    }

    pub fn exit_of_plan(&self) -> Exit {
        match self.has_left_out() {
            true => Exit::Found,
            false => Exit::Clean,
        }
    }

    pub fn outcomes(&self, outcomes: &[Outcome]) -> io::Result<()> {
        let mut out = Stdout::new();
        match self.json {
            true => out.json_line(&self.outcomes_json(outcomes))?,
            false => self.outcomes_table(outcomes, &mut out)?,
        }
        for outcome in outcomes {
            if let Ending::Failed(why) = &outcome.ending {
                output::error(&format!("{}: {why}", outcome.topic));
            }
        }
        if outcomes.iter().any(|one| one.ending != Ending::Done) {
            output::note("the same command goes on after what is committed");
        }
        out.flush()
    }

    fn outcomes_json(&self, outcomes: &[Outcome]) -> Value {
        let seconds = self.started.elapsed().as_secs_f64();
        let restored: u64 = outcomes.iter().map(|one| one.restored).sum();
        let near: Vec<_> = outcomes.iter().flat_map(|one| &one.near_records).collect();
        let topics: Vec<Value> = outcomes.iter().map(topic_json).collect();
        json!({
            "dry_run": self.dry_run,
            "done": outcomes.iter().all(|one| one.ending == Ending::Done),
            "restored": restored,
            "topics": topics,
            "left_out": self.left_out,
            "left_out_now": self.left_out_count,
            "near": near,
            "direct_uploads": self.direct_uploads,
            "seconds": tenths(seconds),
            "rate": tenths(restored as f64 / seconds.max(0.001)),
        })
    }

    fn outcomes_table(&self, outcomes: &[Outcome], out: &mut Stdout) -> io::Result<()> {
        let rows = outcomes.iter().map(|one| {
            [
                one.topic.clone(),
                one.target.clone(),
                one.restored.to_string(),
                one.before.to_string(),
                one.left_out.to_string(),
                one.near.values().sum::<u64>().to_string(),
                ending(&one.ending).to_owned(),
            ]
        });
        let columns = [
            "topic", "to", "restored", "before", "left out", "near", "ending",
        ];
        out.write_all(table::render(columns, rows).as_bytes())?;
        for one in outcomes {
            for (why, count) in &one.near {
                writeln!(out, "{}: {count} {}", one.topic, near_in_words(*why))?;
            }
            if one.behind > 0 {
                writeln!(
                    out,
                    "{}: {} were archived while it was restored, between those that are there, and are not: restore them with --uuid-file and --append",
                    one.topic, one.behind
                )?;
            }
        }
        if !self.direct_uploads.is_empty() {
            let count = self.direct_uploads.len();
            writeln!(
                out,
                "{count} were uploaded directly and never on Kafka: not restored"
            )?;
        }
        Ok(())
    }
}

fn topic_json(one: &Outcome) -> Value {
    json!({
        "topic": one.topic,
        "to": one.target,
        "restored": one.restored,
        "retries": one.retries,
        "before": one.before,
        "left_out": one.left_out,
        "behind": one.behind,
        "bytes": one.bytes,
        "near": one.near,
        "ending": ending(&one.ending),
        "error": match &one.ending {
            Ending::Failed(why) => Some(why),
            _ => None,
        },
    })
}

fn ending(ending: &Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Stopped => "stopped",
        Ending::Failed(_) => "failed",
    }
}

/// About how many records will not be exact.
fn near_of(job: &Job) -> u64 {
    let extent = &job.extent;
    extent.log_append + extent.at_zero + extent.without_place
}

fn near_in_words(why: Near) -> &'static str {
    match why {
        Near::TimestampZero => "with the timestamp 0 have 1",
        Near::LogAppend => "with a time that the broker had set have it as their producer's",
        Near::NoTimestamp => "without a timestamp have -1 as their producer's",
        Near::NoPlace => "of an unknown partition are where their key puts them, by time",
    }
}
