//! Trying again what failed only in passing, for work that ends when it cannot
//! go on. (The archiver waits for ever instead: see `archive`.)

use std::time::Duration;

use rand::Rng;

/// A call is tried this often before its failure counts.
const TRIES: u32 = 6;

const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Gives what `call` gives, after up to six tries within some 12 s while
/// `is_passing` says that its failure may pass. The pauses double, with jitter.
pub async fn patiently<T, E, F>(
    mut call: impl FnMut() -> F,
    is_passing: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match call().await {
            Err(error) if is_passing(&error) => {
                let jitter = rand::rng().random_range(0.5..=1.0);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause *= 2;
            }
            other => return other,
        }
    }
    call().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;

    fn tries_of(outcomes: impl Fn(u32) -> Result<(), &'static str>) -> (u32, bool) {
        let tries = Cell::new(0);
        let call = || {
            tries.set(tries.get() + 1);
            ready(outcomes(tries.get()))
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let result = runtime.block_on(patiently(call, |error| *error == "passing"));
        (tries.get(), result.is_ok())
    }

    #[test]
    fn what_fails_in_passing_is_tried_again_until_it_works() {
        assert_eq!(
            tries_of(|n| if n < 3 { Err("passing") } else { Ok(()) }),
            (3, true)
        );
    }

    #[test]
    fn what_no_retry_helps_is_tried_once() {
        assert_eq!(tries_of(|_| Err("refused")), (1, false));
    }
}
