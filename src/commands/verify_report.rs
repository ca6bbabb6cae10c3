//! What `verify` prints: progress, defects, the summary.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;

use super::output::{Stdout, one_line};
use super::table;
use crate::verify::{Checked, Defect, Phase, Snapshot};

/// Why objects were not looked at from the store's side.
const SKIPPED: &str = "not with --since, --until or --sample";

pub(super) struct Report {
    out: Stdout,
    json: bool,
    deep: bool,
    started: Instant,
    /// Of the phase that is being shown.
    phase: (Phase, Instant),
    bar: Option<ProgressBar>,
    defects: BTreeMap<&'static str, u64>,
}

impl Report {
    /// Tables and a progress bar on stderr where that is a terminal; with
    /// `json` lines of `{"progress": …}`, `{"defect": …}` and one
    /// `{"summary": …}`.
    pub fn new(json: bool, deep: bool) -> Self {
        let now = Instant::now();
        Self {
            out: Stdout::new(),
            json,
            deep,
            started: now,
            phase: (Phase::Messages, now),
            bar: (!json && io::stderr().is_terminal()).then(bar),
            defects: BTreeMap::new(),
        }
    }

    /// How many were told.
    pub fn defects(&self) -> u64 {
        self.defects.values().sum()
    }

    pub fn defect(&mut self, defect: &Defect) -> io::Result<()> {
        *self.defects.entry(defect.kind.name()).or_default() += 1;
        let out = &mut self.out;
        let mut print = || {
            match self.json {
                true => out.json_line(&json!({ "defect": defect }))?,
                false => writeln!(out, "{}", one_line(&defect.to_string()))?,
            }
            out.flush()
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub fn progress(&mut self, now: &Snapshot) -> io::Result<()> {
        if now.phase != self.phase.0 {
            self.phase = (now.phase, Instant::now());
            if let Some(bar) = &self.bar {
                bar.reset();
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_message(phase_name(now.phase));
            // New objects may come while they are counted.
            bar.set_length(now.expected.max(now.done()));
            bar.set_position(now.done());
        }
        if self.json {
            self.progress_line(now)?;
        }
        Ok(())
    }

    fn progress_line(&mut self, now: &Snapshot) -> io::Result<()> {
        let seconds = self.phase.1.elapsed().as_secs_f64();
        let rate = match seconds > 0.0 {
            true => now.done() as f64 / seconds,
            false => 0.0,
        };
        let left = now.expected.saturating_sub(now.done()) as f64;
        let line = json!({ "progress": {
            "phase": phase_name(now.phase),
            "done": now.done(),
            "expected": now.expected,
            "bytes_read": now.bytes,
            "rate": tenths(rate),
            "eta_seconds": (rate > 0.0).then(|| (left / rate).ceil()),
            "defects": self.defects(),
        }});
        self.out.json_line(&line)?;
        self.out.flush()
    }

    pub fn end_progress(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    pub fn summary(&mut self, checked: &Checked) -> io::Result<()> {
        match self.json {
            true => {
                let line = json!({ "summary": self.summary_json(checked) });
                self.out.json_line(&line)?;
            }
            false => {
                let table = self.summary_table(checked);
                self.out.write_all(table.as_bytes())?;
            }
        }
        self.out.flush()
    }

    fn summary_json(&self, checked: &Checked) -> serde_json::Value {
        let backwards = checked.backwards;
        json!({
            "held": self.defects() == 0,
            "deep": self.deep,
            "messages": checked.messages,
            "bytes_read": checked.bytes,
            "objects": backwards.map(|b| b.objects),
            "objects_in_flight": backwards.map(|b| b.in_flight),
            "topics": backwards.map(|b| b.topics),
            "skipped": match backwards {
                Some(_) => None,
                None => Some(format!("objects and topics: {SKIPPED}")),
            },
            "defects": self.defects(),
            "defects_by_kind": self.defects,
            "seconds": tenths(self.started.elapsed().as_secs_f64()),
        })
    }

    fn summary_table(&self, checked: &Checked) -> String {
        let how = match self.deep {
            true => format!("{} read and compared", HumanBytes(checked.bytes)),
            false => "there, and of the right size".to_owned(),
        };
        let mut rows = vec![row("messages", checked.messages, &how)];
        match checked.backwards {
            None => rows.push(["objects".to_owned(), "-".to_owned(), SKIPPED.to_owned()]),
            Some(backwards) => {
                let young = format!("of which in flight: {}", backwards.in_flight);
                rows.push(row("objects", backwards.objects, &young));
                rows.push(row("topics", backwards.topics, "counted"));
            }
        }
        for (kind, count) in &self.defects {
            rows.push(row(kind, *count, "defects"));
        }
        let verdict = match self.defects() {
            0 => "everything held".to_owned(),
            1 => "1 defect".to_owned(),
            several => format!("{several} defects"),
        };
        let seconds = self.started.elapsed().as_secs_f64();
        let table = table::render(["checked", "number", "how"], rows);
        format!("{table}{verdict}; {seconds:.1} s\n")
    }
}

fn row(name: &str, number: u64, how: &str) -> [String; 3] {
    [name.to_owned(), number.to_string(), how.to_owned()]
}

fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Messages => "messages",
        Phase::Objects => "objects",
    }
}

/// Without colours, so that NO_COLOR need not be asked.
fn bar() -> ProgressBar {
    let template = "{msg} {wide_bar} {pos}/{len} {per_sec} ETA {eta}";
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        // The default style is as good, should the template ever not parse.
        Err(_) => bar,
    }
}
