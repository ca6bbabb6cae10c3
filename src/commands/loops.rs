//! What `run` runs side by side: each loop on a thread of its own, and one end
//! for all.

use std::io;
use std::thread::{self, Scope, ScopedJoinHandle};

use anyhow::anyhow;
use tracing::{error, info};

use super::Exit;
use crate::shutdown::{Shutdown, Trigger};

/// What a loop does until the shutdown is due.
type Work = dyn FnOnce(&Shutdown) -> anyhow::Result<Exit> + Send;

/// A loop that is ready to begin.
pub(super) struct Loop {
    name: &'static str,
    work: Box<Work>,
}

impl Loop {
    /// `work` ends in good order when the shutdown is due. It may block.
    pub fn new(
        name: &'static str,
        work: impl FnOnce(&Shutdown) -> anyhow::Result<Exit> + Send + 'static,
    ) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// Runs all of them. When one ends, its work done or failed for good, the others
/// are told to end in good order. The exit is the worst of theirs; of several
/// errors the first one's is given back, the others are logged.
pub(super) fn run_together(
    loops: Vec<Loop>,
    trigger: &Trigger,
    shutdown: &Shutdown,
) -> anyhow::Result<Exit> {
    let several = loops.len() > 1;
    let ended: Vec<(&str, anyhow::Result<Exit>)> = thread::scope(|scope| {
        let started: Vec<_> = loops
            .into_iter()
            .map(|one| (one.name, begin(one, scope, trigger, shutdown)))
            .collect();
        let wait = |(name, begun)| (name, end(name, begun));
        started.into_iter().map(wait).collect()
    });
    let mut worst = Ok(Exit::Clean);
    for (name, outcome) in ended {
        worst = match (worst, outcome) {
            (Err(first), Err(other)) => {
                error!("{name}: {other:#}");
                Err(first)
            }
            (Err(first), Ok(_)) => Err(first),
            (Ok(_), Err(failure)) if several => Err(failure.context(name)),
            (Ok(_), Err(failure)) => Err(failure),
            (Ok(one), Ok(other)) => Ok(one.worse(other)),
        };
    }
    worst
}

type Begun<'scope> = io::Result<ScopedJoinHandle<'scope, anyhow::Result<Exit>>>;

fn begin<'scope>(
    one: Loop,
    scope: &'scope Scope<'scope, '_>,
    trigger: &'scope Trigger,
    shutdown: &'scope Shutdown,
) -> Begun<'scope> {
    let end = EndOfAll(trigger);
    thread::Builder::new()
        .name(one.name.to_owned())
        .spawn_scoped(scope, move || {
            let _end = end;
            let outcome = (one.work)(shutdown);
            if !shutdown.is_due() {
                let how = if outcome.is_ok() { "ended" } else { "failed" };
                info!("the {} has {how}: ending in good order", one.name);
            }
            outcome
        })
}

fn end(name: &str, begun: Begun<'_>) -> anyhow::Result<Exit> {
    match begun?.join() {
        Ok(outcome) => outcome,
        // What it said is on stderr.
        Err(_) => Err(anyhow!("a defect of this program has ended the {name}")),
    }
}

/// Tells all to end when it is dropped, by a panic or a thread that never came
/// to be as well.
struct EndOfAll<'a>(&'a Trigger);

impl Drop for EndOfAll<'_> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}
