//! How fast records go.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What was not used may be made up for, for so long.
const SLACK: Duration = Duration::from_millis(100);

/// At most so many records a second, whoever sends them.
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub fn new(per_second: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::default(),
        }
    }

    /// When the next record may go.
    pub fn turn(&self) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let turn = next.unwrap_or(now).max(now - SLACK);
        *next = Some(turn + self.interval);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_as_far_apart_as_the_rate_says() {
        let pace = Pace::new(10);
        let first = pace.turn();
        assert_eq!(pace.turn(), first + Duration::from_millis(100));
        assert_eq!(pace.turn(), first + Duration::from_millis(200));
    }
}
