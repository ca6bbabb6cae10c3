//! Who asks: HTTP Basic (RFC 7617) and SCRAM (RFC 7804), against one
//! credential, with a bound on how often a machine may fail.

mod basic;
mod scram;
mod throttle;

use std::net::IpAddr;

use hyper::StatusCode;
use hyper::header::{
    AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};

use super::problem::Problem;
use crate::config::HttpCredential;

use basic::Basic;
use scram::{Scram, Step};
use throttle::Throttle;

const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Who showed the credential; what the server owes it in return, with
    /// SCRAM.
    Known { proof: Option<HeaderValue> },
    /// Who showed nothing.
    Anonymous,
}

impl Caller {
    /// The header that proves to the client that this server knows the
    /// password too.
    pub fn proof(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Known { proof: Some(proof) } => Some((AUTHENTICATION_INFO, proof.clone())),
            _ => None,
        }
    }
}

/// The door of a listener.
pub struct Door {
    credential: Option<Known>,
    throttle: Throttle,
}

struct Known {
    basic: Basic,
    /// `None` where only Basic is taken.
    scram: Option<Scram>,
}

impl Door {
    /// One that takes Basic and SCRAM; without a credential everybody is
    /// anonymous there.
    pub fn new(credential: Option<&HttpCredential>) -> Self {
        Self::with(credential, true)
    }

    /// One that takes Basic alone.
    pub fn basic_only(credential: Option<&HttpCredential>) -> Self {
        Self::with(credential, false)
    }

    fn with(credential: Option<&HttpCredential>, takes_scram: bool) -> Self {
        Self {
            credential: credential.map(|credential| Known {
                basic: Basic::new(credential),
                scram: takes_scram.then(|| Scram::new(credential)),
            }),
            throttle: Throttle::default(),
        }
    }

    /// Whether anybody can be known here.
    pub fn has_credential(&self) -> bool {
        self.credential.is_some()
    }

    /// Who asks. Errors: 401 for a wrong credential and for every step of SCRAM
    /// but the last, 429 for a machine that failed too often lately, whatever it
    /// shows now.
    pub fn caller(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Caller, Problem> {
        let (Some(known), Some(shown)) = (&self.credential, headers.get(AUTHORIZATION)) else {
            return Ok(Caller::Anonymous);
        };
        if !self.throttle.may_try(peer) {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong credentials: try again in a second",
            )
            .with(RETRY_AFTER, HeaderValue::from_static("1")));
        }
        let step = shown
            .to_str()
            .map_or(Step::Wrong, |shown| known.look(shown));
        match step {
            Step::Known(proof) => Ok(Caller::Known { proof }),
            Step::Challenge(challenge) => Err(unknown().with(WWW_AUTHENTICATE, challenge)),
            Step::Wrong => {
                self.throttle.failed(peer);
                Err(self.challenge())
            }
        }
    }

    /// 401 with everything that is taken here.
    pub fn challenge(&self) -> Problem {
        let takes_scram = self.credential.as_ref().is_some_and(|k| k.scram.is_some());
        let methods: &[&str] = match takes_scram {
            true => &[
                BASIC,
                "SCRAM-SHA-512 realm=\"archive\"",
                "SCRAM-SHA-256 realm=\"archive\"",
            ],
            false => &[BASIC],
        };
        // On one line: clients are known that look at the first one alone.
        match HeaderValue::try_from(methods.join(", ")) {
            Ok(methods) => unknown().with(WWW_AUTHENTICATE, methods),
            Err(_) => unknown(),
        }
    }
}

const BASIC: &str = "Basic realm=\"archive\", charset=\"UTF-8\"";

fn unknown() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "Authentication required")
}

impl Known {
    fn look(&self, shown: &str) -> Step {
        let (scheme, rest) = shown.split_once(' ').unwrap_or((shown, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return match self.basic.is_right(rest.trim()) {
                true => Step::Known(None),
                false => Step::Wrong,
            };
        }
        match &self.scram {
            Some(scram) => scram.step(scheme, rest.trim()),
            None => Step::Wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn credential() -> HttpCredential {
        HttpCredential {
            username: "reader".to_owned(),
            password: "pass:word é".to_owned(),
        }
    }

    fn asks(door: &Door, shown: &str) -> Result<Caller, StatusCode> {
        let mut headers = HeaderMap::new();
        if !shown.is_empty() {
            let value = HeaderValue::from_str(shown).expect("text");
            headers.insert(AUTHORIZATION, value);
        }
        door.caller(&headers, [192, 0, 2, 1].into())
            .map_err(|problem| problem.status)
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn the_right_credential_is_known_and_every_other_is_refused() {
        let door = Door::new(Some(&credential()));
        let right = basic("reader:pass:word é");
        assert_eq!(asks(&door, &right), Ok(Caller::Known { proof: None }));
        assert_eq!(
            asks(&door, &right.replace("Basic", "bAsIc")),
            Ok(Caller::Known { proof: None })
        );
        assert_eq!(asks(&door, ""), Ok(Caller::Anonymous));
        let wrong = [
            basic("reader:pass:word"),
            basic("reader:pass:word éé"),
            basic("Reader:pass:word é"),
            basic("reader"),
            basic(":"),
            "Basic".to_owned(),
            "Basic ====".to_owned(),
            "Bearer x".to_owned(),
        ];
        for shown in wrong {
            assert_eq!(
                asks(&door, &shown),
                Err(StatusCode::UNAUTHORIZED),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_machine_that_failed_too_often_is_not_listened_to_and_others_are() {
        let door = Door::new(Some(&credential()));
        let refused: Vec<_> = (0..10_000)
            .map(|n| asks(&door, &basic(&format!("reader:{n}"))))
            .collect();
        assert_eq!(refused[0], Err(StatusCode::UNAUTHORIZED));
        assert_eq!(refused[9_999], Err(StatusCode::TOO_MANY_REQUESTS));
        let right = HeaderValue::try_from(basic("reader:pass:word é")).expect("text");
        let headers = HeaderMap::from_iter([(AUTHORIZATION, right)]);
        assert_eq!(
            door.caller(&headers, [192, 0, 2, 2].into())
                .map_err(|problem| problem.status),
            Ok(Caller::Known { proof: None })
        );
        // Who shows nothing can guess nothing.
        assert_eq!(asks(&door, ""), Ok(Caller::Anonymous));
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic_or_lets_anybody_in(
            shown in "[ -~]{0,60}|(Basic|SCRAM-SHA-256|SCRAM-SHA-512) [ -~]{0,60}|SCRAM-SHA-512 (sid=[A-Za-z0-9+/_=-]{0,20},)?data=[A-Za-z0-9+/=]{0,40}"
        ) {
            let door = Door::new(Some(&credential()));
            let known = matches!(asks(&door, &shown), Ok(Caller::Known { .. }));
            prop_assert!(!known);
        }
    }
}
