//! A few new entities a second, so that the loop is seen to live.

use std::path::Path;
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

/// Makes entities until its shutdown is due; waited for when dropped.
pub struct DemoWriter {
    thread: Option<JoinHandle<()>>,
}

/// Starts making entities in the demo kernel of this path, which
/// [`super::DemoSource::open`] has made.
pub fn start_writer(path: &Path, shutdown: Shutdown) -> Result<DemoWriter, SourceError> {
    let connections = Connections::open(path, "kernel-path")?;
    let thread = thread::Builder::new()
        .name("demo-kernel".into())
        .spawn(move || run(&connections, &shutdown))
        .map_err(|error| SourceError::Unavailable {
            database: format!("sqlite {}", path.display()),
            cause: format!("no thread for new entities: {error}"),
        })?;
    Ok(DemoWriter {
        thread: Some(thread),
    })
}

impl Drop for DemoWriter {
    fn drop(&mut self) {
        // A panic in there is printed by itself; nothing is left to do.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(connections: &Connections, shutdown: &Shutdown) {
    let mut failed = false;
    while !shutdown.is_due() {
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
        while Instant::now() < next && !shutdown.is_due() {
            thread::sleep(TICK);
        }
    }
}

/// Asked within the transaction: nobody else writes beside it, so that nothing
/// with an earlier stamp is committed later.
fn now() -> String {
    stamp::before(Timestamp::now().as_microsecond(), &TimeZone::UTC).into_string()
}
