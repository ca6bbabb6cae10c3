//! A question that is asked now and then, on a thread of its own beside the
//! command's work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks whether to stop.
const TICK: Duration = Duration::from_millis(200);

pub(super) struct Watch {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Looks at once, and then again `every` so often.
    pub fn start(
        name: &str,
        every: Duration,
        mut look: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let watch = move || {
            let mut next = Instant::now();
            while !ends.load(Ordering::Acquire) {
                if Instant::now() < next {
                    std::thread::sleep(TICK);
                    continue;
                }
                next = Instant::now() + every;
                look();
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned());
        Ok(Self {
            is_over,
            thread: thread.spawn(watch)?,
        })
    }

    /// Does not wait for a question that is under way.
    pub fn stop(self) {
        self.is_over.store(true, Ordering::Release);
        if self.thread.is_finished() {
            // It only asks, and has ended.
            let _ = self.thread.join();
        }
    }
}
