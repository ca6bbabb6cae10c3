//! Credentials that are renewed before they run out.
//!
//! rust-s3 would renew them only after they have expired, with blocking HTTP
//! on a runtime thread under a lock that every request takes. So it is given
//! credentials without an expiry, and the renewing is done here.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use s3::creds::Credentials;

use super::provider;

/// How long before the end new credentials are asked for. Providers hand out
/// new ones at least five minutes before the old ones end.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// How long a failed attempt is not repeated.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The longest wait for a provider. Its own HTTP client has no timeout for the
/// whole of an exchange.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there are no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CredentialsError {
    /// A provider cannot be reached or failed. Retry.
    Unavailable(String),
    /// There is no source of credentials, or it is wrong. No retry helps.
    Refused(String),
}

type Load = dyn Fn() -> Result<Credentials, CredentialsError> + Send + Sync;

/// Where credentials come from, and the ones in use.
pub(super) struct CredentialSource {
    load: Arc<Load>,
    /// Whether the source may give other ones than it gave.
    renews: bool,
    state: Mutex<State>,
    /// Held by who is asking the provider.
    renewing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// What the store called expired: not to be taken again.
    rejected: Option<Credentials>,
    failed: Option<(Instant, CredentialsError)>,
}

struct Held {
    credentials: Credentials,
    expires: Option<SystemTime>,
}

impl CredentialSource {
    /// The standard AWS chain. Asks nobody yet.
    pub(super) fn chain() -> Self {
        Self {
            renews: provider::renews(),
            ..Self::new(provider::chain)
        }
    }

    /// A pair that does not change.
    pub(super) fn fixed(access_key_id: &str, secret_access_key: &str) -> Self {
        let pair = Credentials {
            access_key: Some(access_key_id.to_owned()),
            secret_key: Some(secret_access_key.to_owned()),
            security_token: None,
            session_token: None,
            expiration: None,
        };
        Self {
            renews: false,
            ..Self::new(move || Ok(pair.clone()))
        }
    }

    fn new(
        load: impl Fn() -> Result<Credentials, CredentialsError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            load: Arc::new(load),
            renews: true,
            state: Mutex::default(),
            renewing: tokio::sync::Mutex::new(()),
        }
    }

    /// Credentials that are good now. Near their end one caller renews them
    /// while the others go on with the old ones; after it all wait for him.
    pub(super) async fn current(&self) -> Result<Credentials, CredentialsError> {
        if let Some((credentials, ageing)) = self.usable() {
            if ageing
                && !self.failed_lately()
                && let Ok(_turn) = self.renewing.try_lock()
            {
                return Ok(self.renew().await.unwrap_or(credentials));
            }
            return Ok(credentials);
        }
        let _turn = self.renewing.lock().await;
        match self.usable() {
            Some((credentials, _)) => Ok(credentials),
            None => self.renew().await,
        }
    }

    /// The store has called these credentials expired: the next
    /// [`CredentialSource::current`] gives other ones or an error.
    pub(super) fn reject(&self, expired: &Credentials) {
        let mut state = self.state();
        if state
            .held
            .as_ref()
            .is_some_and(|held| held.credentials == *expired)
        {
            state.held = None;
            state.failed = None;
            state.rejected = Some(expired.clone());
        }
    }

    /// The credentials held unless expired, and whether they soon will be.
    fn usable(&self) -> Option<(Credentials, bool)> {
        let state = self.state();
        let held = state.held.as_ref()?;
        let Some(expires) = held.expires else {
            return Some((held.credentials.clone(), false));
        };
        let left = expires.duration_since(SystemTime::now()).ok()?;
        Some((held.credentials.clone(), left < RENEW_BEFORE))
    }

    fn failed_lately(&self) -> bool {
        self.last_failure().is_some()
    }

    fn last_failure(&self) -> Option<CredentialsError> {
        let state = self.state();
        let (at, error) = state.failed.as_ref()?;
        (at.elapsed() < RETRY_AFTER).then(|| error.clone())
    }

    /// Asks the provider. The caller holds `renewing`.
    async fn renew(&self) -> Result<Credentials, CredentialsError> {
        if let Some(error) = self.last_failure() {
            return Err(error);
        }
        let loaded = match tokio::time::timeout(PATIENCE, on_a_thread(Arc::clone(&self.load))).await
        {
            Ok(loaded) => loaded,
            Err(_) => Err(CredentialsError::Unavailable(
                "the provider of credentials does not answer".to_owned(),
            )),
        };
        self.take(loaded)
    }

    fn take(
        &self,
        loaded: Result<Credentials, CredentialsError>,
    ) -> Result<Credentials, CredentialsError> {
        let mut state = self.state();
        let taken = loaded.and_then(|mut credentials| {
            let expires = credentials
                .expiration
                .take()
                .map(|at| SystemTime::from(at.0));
            if state.rejected.as_ref() == Some(&credentials) {
                let cause =
                    "the credentials have expired and their source has no newer ones: renew them";
                return Err(if self.renews {
                    CredentialsError::Unavailable(cause.to_owned())
                } else {
                    CredentialsError::Refused(cause.to_owned())
                });
            }
            Ok(Held {
                credentials,
                expires,
            })
        });
        match taken {
            Ok(held) => {
                let credentials = held.credentials.clone();
                *state = State {
                    held: Some(held),
                    ..State::default()
                };
                Ok(credentials)
            }
            Err(error) => {
                if state.held.is_some() {
                    tracing::warn!(?error, "cannot renew the store's credentials yet");
                }
                state.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment of whole values.
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Runs a provider on a thread of its own: a hanging one then delays neither
/// the runtime's workers nor its shutdown.
async fn on_a_thread(load: Arc<Load>) -> Result<Credentials, CredentialsError> {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("credentials".to_owned());
    let died = |cause: &str| CredentialsError::Unavailable(format!("no credentials: {cause}"));
    if let Err(e) = thread.spawn(move || {
        // Nobody listens any more after the timeout.
        let _ = answer.send(load());
    }) {
        return Err(died(&format!("cannot start a thread: {e}")));
    }
    answered
        .await
        .unwrap_or_else(|_| Err(died("the provider failed")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use s3::creds::time::OffsetDateTime;

    use super::*;

    /// Credentials numbered from 1 on, each good for `seconds` from now.
    fn numbered(seconds: i64) -> (CredentialSource, Arc<AtomicU32>) {
        let loads = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&loads);
        let source = CredentialSource::new(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let end = OffsetDateTime::from(SystemTime::now()) + Duration::from_secs(3600);
            let end = end + s3::creds::time::Duration::seconds(seconds - 3600);
            Ok(Credentials {
                access_key: Some(number.to_string()),
                secret_key: Some("secret".to_owned()),
                security_token: None,
                session_token: None,
                expiration: Some(end.into()),
            })
        });
        (source, loads)
    }

    async fn key(source: &CredentialSource) -> String {
        let credentials = source.current().await.expect("credentials");
        credentials.access_key.expect("a key")
    }

    #[tokio::test]
    async fn credentials_that_last_are_asked_for_once() {
        let (source, loads) = numbered(3600);
        for _ in 0..3 {
            assert_eq!(key(&source).await, "1");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_end() {
        let (source, _) = numbered(299);
        assert_eq!(key(&source).await, "1");
        assert_eq!(key(&source).await, "2");
    }

    #[tokio::test]
    async fn the_library_never_sees_an_expiry_and_so_never_blocks_a_worker_to_renew() {
        let (source, _) = numbered(3600);
        let credentials = source.current().await.expect("credentials");
        assert_eq!(credentials.expiration, None);
    }

    #[tokio::test]
    async fn many_requests_at_once_ask_the_provider_once() {
        let (source, loads) = numbered(3600);
        let all = futures::future::join_all((0..64).map(|_| key(&source))).await;
        assert!(all.iter().all(|k| k == "1"));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn credentials_that_the_store_calls_expired_are_replaced() {
        let (source, _) = numbered(3600);
        let first = source.current().await.expect("credentials");
        source.reject(&first);
        assert_eq!(key(&source).await, "2");
        source.reject(&first);
        assert_eq!(key(&source).await, "2", "a late answer to the old ones");
    }

    #[tokio::test]
    async fn expired_credentials_whose_source_has_no_others_stop_the_program() {
        let source = CredentialSource::fixed("id", "secret");
        let pair = source.current().await.expect("credentials");
        source.reject(&pair);
        let error = source.current().await.expect_err("the same pair");
        assert!(matches!(error, CredentialsError::Refused(_)));
    }

    #[tokio::test]
    async fn expired_credentials_whose_source_is_late_with_new_ones_are_waited_for() {
        let source = CredentialSource::new(|| {
            Ok(Credentials {
                access_key: Some("id".to_owned()),
                secret_key: Some("secret".to_owned()),
                security_token: None,
                session_token: None,
                expiration: None,
            })
        });
        let old = source.current().await.expect("credentials");
        source.reject(&old);
        let error = source.current().await.expect_err("the same pair");
        assert!(matches!(error, CredentialsError::Unavailable(_)));
    }

    #[tokio::test]
    async fn a_provider_that_fails_near_the_end_leaves_the_old_credentials_in_use() {
        let loads = AtomicU32::new(0);
        let source = CredentialSource::new(move || match loads.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(Credentials {
                access_key: Some("1".to_owned()),
                secret_key: Some("secret".to_owned()),
                security_token: None,
                session_token: None,
                expiration: Some(
                    (OffsetDateTime::from(SystemTime::now()) + Duration::from_secs(60)).into(),
                ),
            }),
            _ => Err(CredentialsError::Unavailable("away".to_owned())),
        });
        for _ in 0..3 {
            assert_eq!(key(&source).await, "1");
        }
    }
}
