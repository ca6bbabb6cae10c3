//! A few new entities a second, so that the loop is seen to live.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::content;
use crate::entities::{SourceError, stamp};
use crate::shutdown::Shutdown;
use crate::sqlite_file::Connections;

/// Between two new entities.
const PACE: Duration = Duration::from_millis(400);
/// A signal to end is looked at this often.
const TICK: Duration = Duration::from_millis(50);

/// Makes entities until its shutdown is due or it is dropped, which waits for
/// the last one.
pub struct DemoWriter {
    dropped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts making entities in the demo kernel of this path, which
/// [`super::DemoSource::open`] has made.
pub fn start_writer(path: &Path, shutdown: Shutdown) -> Result<DemoWriter, SourceError> {
    let connections = Connections::open(path, "kernel-path")?;
    let dropped = Arc::new(AtomicBool::new(false));
    let is_due = {
        let dropped = dropped.clone();
        move || shutdown.is_due() || dropped.load(Ordering::Relaxed)
    };
    let thread = thread::Builder::new()
        .name("demo-kernel".into())
        .spawn(move || run(&connections, is_due))
        .map_err(|error| SourceError::Unavailable {
            database: format!("sqlite {}", path.display()),
            cause: format!("no thread for new entities: {error}"),
        })?;
    Ok(DemoWriter {
        dropped,
        thread: Some(thread),
    })
}

impl Drop for DemoWriter {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
        // A panic in there is printed by itself; nothing is left to do.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(connections: &Connections, is_due: impl Fn() -> bool) {
    let mut failed = false;
    while !is_due() {
        let made = connections.write(|file| content::add_one(file, &now()));
        match made {
            Ok(()) => failed = false,
            Err(error) if !failed => {
                tracing::warn!("no new demo entities for now: {error}");
                failed = true;
            }
            Err(_) => {}
        }
        let next = Instant::now() + PACE;
        while Instant::now() < next && !is_due() {
            thread::sleep(TICK);
        }
    }
}

/// Asked within the transaction: nobody else writes beside it, so that nothing
/// with an earlier stamp is committed later.
fn now() -> String {
    stamp::before(Timestamp::now().as_microsecond(), &TimeZone::UTC).into_string()
}
