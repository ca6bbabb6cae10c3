//! How many PUTs are under way at once: as many as the store keeps up with.
//!
//! Additive increase, multiplicative decrease, as TCP does it: from [`START`]
//! on the limit doubles with every round of successes until the store asks for
//! less for the first time; that halves it, and from then on it grows by one a
//! round.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

const START: usize = 16;

/// One overload makes many requests fail at once: it counts once.
const ONE_OVERLOAD: Duration = Duration::from_secs(1);

/// Shared by all batches.
pub(super) struct PutLimit {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    most: usize,
}

struct State {
    limit: usize,
    /// Permits that are out and must not come back.
    surplus: usize,
    /// Since the limit last changed.
    successes: usize,
    doubling: bool,
    cut: Option<Instant>,
}

/// What a PUT told about the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    KeptUp,
    Overloaded,
}

impl PutLimit {
    /// Never more than `most` (at least 1).
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let limit = START.min(most);
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            state: Mutex::new(State {
                limit,
                surplus: 0,
                successes: 0,
                doubling: true,
                cut: None,
            }),
            most,
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Waits until one more PUT may begin.
    pub(super) async fn begin(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.permits.clone().acquire_owned().await
    }

    /// Ends what [`PutLimit::begin`] allowed.
    pub(super) fn end(&self, permit: OwnedSemaphorePermit, load: Load) {
        let mut state = self.state();
        match load {
            Load::KeptUp => self.grow(&mut state),
            Load::Overloaded => self.shrink(&mut state),
        }
        if state.surplus > 0 {
            state.surplus -= 1;
            permit.forget();
        }
    }

    fn grow(&self, state: &mut State) {
        state.successes += 1;
        if state.successes < state.limit || state.limit == self.most {
            return;
        }
        state.successes = 0;
        let step = if state.doubling { state.limit } else { 1 };
        let grown = (state.limit + step).min(self.most);
        let more = grown - state.limit;
        state.limit = grown;
        let kept = more.min(state.surplus);
        state.surplus -= kept;
        self.permits.add_permits(more - kept);
    }

    fn shrink(&self, state: &mut State) {
        if state.cut.is_some_and(|cut| cut.elapsed() < ONE_OVERLOAD) {
            return;
        }
        let halved = (state.limit / 2).max(1);
        let less = state.limit - halved;
        state.surplus += less - self.permits.forget_permits(less);
        state.limit = halved;
        state.successes = 0;
        state.doubling = false;
        state.cut = Some(Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|lock| lock.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(limit: &PutLimit, load: Load) {
        let permit = limit.begin().await.unwrap();
        limit.end(permit, load);
    }

    fn allowed(limit: &PutLimit) -> usize {
        limit.permits.available_permits()
    }

    #[tokio::test]
    async fn a_store_that_keeps_up_gets_more_at_once_up_to_the_bound() {
        let limit = PutLimit::new(50);
        for _ in 0..200 {
            put(&limit, Load::KeptUp).await;
        }
        assert_eq!(allowed(&limit), 50);
    }

    #[tokio::test]
    async fn a_store_that_is_overloaded_gets_half_and_then_grows_by_one() {
        let limit = PutLimit::new(64);
        put(&limit, Load::Overloaded).await;
        put(&limit, Load::Overloaded).await;
        assert_eq!(allowed(&limit), START / 2);
        for _ in 0..START / 2 {
            put(&limit, Load::KeptUp).await;
        }
        assert_eq!(allowed(&limit), START / 2 + 1);
    }

    #[tokio::test]
    async fn permits_that_are_out_when_it_shrinks_do_not_come_back() {
        let limit = PutLimit::new(64);
        let mut out = Vec::new();
        for _ in 0..START {
            out.push(limit.begin().await.unwrap());
        }
        for permit in out {
            limit.end(permit, Load::Overloaded);
        }
        assert_eq!(allowed(&limit), START / 2);
    }
}
