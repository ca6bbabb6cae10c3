//! What `verify` prints while it works: progress and findings.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::output::{Stdout, one_line};
use super::verify_summary::{self, How, Nothing, tenths};
use crate::cli::VerifyArgs;
use crate::verify::{Checked, Defect, Finding, Phase, Progress, Repair, Snapshot};

pub(super) struct Report {
    out: Stdout,
    json: bool,
    how: How,
    started: Instant,
    /// Of the phase that is being shown, and what of it was done before.
    phase: (Phase, Instant, u64),
    bar: Option<ProgressBar>,
    /// Told so far; what was acknowledged is none.
    defects: u64,
    /// Gaps that somebody knows of.
    known: u64,
}

impl Report {
    /// Tables and a progress bar on stderr where that is a terminal; with
    /// `json` lines of `{"progress": …}`, `{"defect": …}`, `{"acknowledged": …}`
    /// and `{"repair": …}` and one `{"summary": …}`.
    pub fn new(json: bool, args: &VerifyArgs) -> Self {
        Self::with(
            json,
            How {
                deep: args.deep,
                repair: args.repair,
                dry_run: args.dry_run,
            },
        )
    }

    pub fn with(json: bool, how: How) -> Self {
        let now = Instant::now();
        Self {
            out: Stdout::new(),
            json,
            how,
            started: now,
            phase: (Phase::Messages, now, 0),
            bar: (!json && io::stderr().is_terminal()).then(bar),
            defects: 0,
            known: 0,
        }
    }

    /// Defects that are there when it has ended.
    pub fn left(&self, checked: &Checked) -> u64 {
        self.how.left(checked)
    }

    pub fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        match self.bar.clone() {
            Some(bar) => bar.suspend(|| self.print(finding)),
            None => self.print(finding),
        }
    }

    fn print(&mut self, finding: &Finding) -> io::Result<()> {
        for defect in &finding.defects {
            self.defect(defect)?;
        }
        if let Some(repair) = &finding.repair {
            self.repair(repair)?;
        }
        self.out.flush()
    }

    fn defect(&mut self, defect: &Defect) -> io::Result<()> {
        let is_known = defect.is_known();
        match is_known {
            true => self.known += 1,
            false => self.defects += 1,
        }
        match (self.json, is_known) {
            (true, false) => self.out.json_line(&json!({ "defect": defect })),
            (true, true) => self.out.json_line(&json!({ "acknowledged": defect })),
            (false, _) => writeln!(self.out, "{}", one_line(&defect.to_string())),
        }
    }

    fn repair(&mut self, repair: &Repair) -> io::Result<()> {
        if self.json {
            return self.out.json_line(&json!({ "repair": repair }));
        }
        let word = match (repair.mended, self.how.dry_run) {
            (true, false) => "mended",
            (true, true) => "would mend",
            (false, _) => "not mended",
        };
        writeln!(self.out, "  {word}: {}", one_line(&repair.how))
    }

    pub fn progress(&mut self, progress: &Progress) -> io::Result<()> {
        let now = progress.snapshot();
        if now.phase != self.phase.0 {
            self.phase = (now.phase, Instant::now(), now.done());
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
            self.progress_line(&now)?;
        }
        Ok(())
    }

    fn progress_line(&mut self, now: &Snapshot) -> io::Result<()> {
        let seconds = self.phase.1.elapsed().as_secs_f64();
        let done = now.done().saturating_sub(self.phase.2) as f64;
        let rate = match seconds > 0.0 {
            true => done / seconds,
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
            "defects": self.defects,
        }});
        self.out.json_line(&line)?;
        self.out.flush()
    }

    pub fn end_progress(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// `nothing`: why no message was checked.
    pub fn summary(&mut self, checked: &Checked, nothing: Option<Nothing>) -> io::Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let how = &self.how;
        match self.json {
            true => {
                let summary = verify_summary::as_json(checked, how, nothing, self.known, seconds);
                self.out.json_line(&json!({ "summary": summary }))?;
            }
            false => {
                let table = verify_summary::as_table(checked, how, nothing, self.known, seconds);
                self.out.write_all(table.as_bytes())?;
            }
        }
        self.out.flush()
    }

    /// The last thing that another command prints.
    pub fn end(&mut self, json: &serde_json::Value, table: &str) -> io::Result<()> {
        match self.json {
            true => self.out.json_line(&json!({ "summary": json }))?,
            false => self.out.write_all(table.as_bytes())?,
        }
        self.out.flush()
    }

    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Messages => "messages",
        Phase::Objects => "objects",
        Phase::Records => "records",
    }
}

/// Without colours, so that NO_COLOR need not be asked.
pub(super) fn bar() -> ProgressBar {
    let template = "{msg} {wide_bar} {pos}/{len} {per_sec} ETA {eta}";
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        // The default style is as good, should the template ever not parse.
        Err(_) => bar,
    }
}
