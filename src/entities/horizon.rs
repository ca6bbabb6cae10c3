//! The bound below which nothing new appears.
//!
//! A look at the database at time `now` lists the transactions that are open.
//! Whatever a later reading sees that an earlier one did not was written by one
//! of them, or by one that began after `now`. So if every entity is stamped at
//! most window + margin before its transaction begins, nothing new is stamped
//! before
//!
//! ```text
//! least(now, earliest begin of the open transactions) − window − margin
//! ```
//!
//! The window counts for open transactions too: an entity may have been stamped
//! that long before a transaction that has been open for an hour. Times are
//! microseconds since 1970-01-01 UTC by the database's clock.

use std::collections::HashMap;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::stamp;
use super::{Bound, HeldBack, Position};
use crate::config::BoundConfig;

/// Transactions open for less are the rule and not worth telling.
pub const WORTH_TELLING: Duration = Duration::from_secs(1);

/// What a look at the database found.
#[derive(Debug, Default)]
pub struct Look {
    /// Read before the transactions were.
    pub now: i64,
    pub open: Vec<OpenTransaction>,
}

/// A transaction that may yet commit entities.
#[derive(Clone, Debug)]
pub struct OpenTransaction {
    /// The same at every look, and no other transaction's.
    pub key: String,
    pub began: Began,
    /// For messages.
    pub who: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    At(i64),
    /// The database does not say. It began after the last look that did not
    /// find it.
    Unknown,
    /// Prepared, or in no list: nothing may be concluded while it lasts.
    /// Since then it is known.
    Unsettled(Option<i64>),
}

/// The bound, look after look. It never goes back.
pub struct Horizon {
    config: BoundConfig,
    /// Microseconds; `None` before the first look that concluded anything.
    bound: Option<i64>,
    last_look: Option<i64>,
    seen: HashMap<String, Seen>,
}

/// When a transaction without a known beginning was found first.
#[derive(Clone, Copy)]
struct Seen {
    /// The look before, if there was one.
    began_after: Option<i64>,
    at: i64,
    told: bool,
}

/// What a transaction means to the bound.
struct Holder<'a> {
    who: &'a str,
    since: i64,
    /// `None`: the bound stays where it is.
    begin: Option<i64>,
}

impl Horizon {
    pub fn new(config: BoundConfig) -> Self {
        Self {
            config,
            bound: None,
            last_look: None,
            seen: HashMap::new(),
        }
    }

    /// The bound after a look.
    pub fn after(&mut self, look: &Look) -> Bound {
        self.remember(look);
        let (ignored, holders): (Vec<_>, Vec<_>) = look
            .open
            .iter()
            .map(|transaction| self.holder(transaction, look.now))
            .partition(|holder| self.is_over_limit(holder, look.now));
        let earliest = holders
            .iter()
            .try_fold(look.now, |least, holder| Some(least.min(holder.begin?)));
        if let Some(earliest) = earliest {
            let lag = self.config.window + self.config.margin;
            let safe = earliest.saturating_sub(micros(lag));
            self.bound = self.bound.max(Some(safe));
        }
        self.last_look = Some(look.now);
        let told = |holder: &Holder<'_>, ignored| held_back(holder, look.now, ignored);
        Bound {
            below: self.position(),
            held_back: oldest(&holders)
                .map(|holder| told(holder, false))
                .filter(|held| earliest.is_none() || held.lasting >= WORTH_TELLING)
                .or_else(|| oldest(&ignored).map(|holder| told(holder, true))),
        }
    }

    /// The bound of the looks before: what holds when a look is not possible.
    pub fn position(&self) -> Position {
        match self.bound {
            Some(bound) => stamp::before(bound, &self.config.time_zone),
            None => Position::start(),
        }
    }

    /// The zone that positions are in.
    pub fn time_zone(&self) -> TimeZone {
        self.config.time_zone.clone()
    }

    /// Forgets transactions that have ended and notes those that are new.
    fn remember(&mut self, look: &Look) {
        let before = std::mem::take(&mut self.seen);
        for transaction in &look.open {
            let seen = before.get(&transaction.key).copied().unwrap_or(Seen {
                began_after: self.last_look,
                at: look.now,
                told: false,
            });
            self.seen.insert(transaction.key.clone(), seen);
        }
        self.tell(look);
    }

    /// Once for each transaction that the bound moves past.
    fn tell(&mut self, look: &Look) {
        for transaction in &look.open {
            let holder = self.holder(transaction, look.now);
            let (is_over, lasting) = (self.is_over_limit(&holder, look.now), holder.since);
            if let Some(seen) = self.seen.get_mut(&transaction.key)
                && is_over
                && !seen.told
            {
                seen.told = true;
                tracing::warn!(
                    "{} has been open for {} s, which is more than it may hold back everything: \
                     what it commits is found by looking back",
                    transaction.who,
                    (look.now - lasting) / 1_000_000,
                );
            }
        }
    }

    fn holder<'a>(&self, transaction: &'a OpenTransaction, now: i64) -> Holder<'a> {
        let seen = self.seen.get(&transaction.key);
        let seen_at = seen.map_or(now, |seen| seen.at);
        let (since, begin) = match transaction.began {
            Began::At(begin) => (begin, Some(begin)),
            Began::Unsettled(since) => (since.unwrap_or(seen_at), None),
            Began::Unknown => {
                let begin = seen.and_then(|seen| seen.began_after);
                (begin.unwrap_or(seen_at), begin)
            }
        };
        Holder {
            who: &transaction.who,
            since,
            begin,
        }
    }

    fn is_over_limit(&self, holder: &Holder<'_>, now: i64) -> bool {
        self.config
            .hold_limit
            .is_some_and(|limit| now.saturating_sub(holder.since) > micros(limit))
    }
}

/// The one that holds back the most: one that lets nothing be concluded, else
/// the one that has been open for longest.
fn oldest<'a, 'b>(holders: &'a [Holder<'b>]) -> Option<&'a Holder<'b>> {
    holders
        .iter()
        .min_by_key(|holder| (holder.begin, holder.since))
}

fn held_back(holder: &Holder<'_>, now: i64, ignored: bool) -> HeldBack {
    let lasting = now.saturating_sub(holder.since).max(0);
    HeldBack {
        by: holder.who.to_owned(),
        since_ms: holder.since.div_euclid(1000),
        lasting: Duration::from_micros(lasting.unsigned_abs()),
        ignored,
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn horizon(hold_limit: Option<u64>) -> Horizon {
        Horizon::new(BoundConfig {
            window: Duration::from_secs(2),
            margin: Duration::from_secs(1),
            hold_limit: hold_limit.map(Duration::from_secs),
            ..BoundConfig::default()
        })
    }

    fn open(key: &str, began: Began) -> OpenTransaction {
        OpenTransaction {
            key: key.into(),
            began,
            who: format!("transaction {key}"),
        }
    }

    /// The bound in seconds, -1 where nothing may be read.
    fn bound(horizon: &mut Horizon, now: i64, open: &[OpenTransaction]) -> i64 {
        let look = Look {
            now: now * S,
            open: open.to_vec(),
        };
        let bound = horizon.after(&look);
        assert_eq!(bound.below, horizon.position());
        horizon.bound.map_or(-1, |bound| bound / S)
    }

    #[test]
    fn without_transactions_it_is_window_and_margin_before_now() {
        assert_eq!(bound(&mut horizon(None), 100, &[]), 97);
    }

    #[test]
    fn an_open_transaction_holds_it_window_and_margin_before_its_begin() {
        let held = &mut horizon(None);
        let old = open("a", Began::At(90 * S));
        assert_eq!(bound(held, 100, &[open("b", Began::At(99 * S)), old]), 87);
        assert_eq!(bound(held, 101, &[open("b", Began::At(99 * S))]), 96);
    }

    #[test]
    fn it_never_goes_back() {
        let held = &mut horizon(None);
        assert_eq!(bound(held, 100, &[]), 97);
        assert_eq!(bound(held, 50, &[]), 97);
    }

    #[test]
    fn a_prepared_transaction_keeps_it_where_it_was() {
        let held = &mut horizon(None);
        assert_eq!(bound(held, 100, &[]), 97);
        let prepared = open("p", Began::Unsettled(Some(104 * S)));
        assert_eq!(bound(held, 110, std::slice::from_ref(&prepared)), 97);
        assert_eq!(bound(held, 200, &[prepared]), 97);
        assert_eq!(bound(held, 201, &[]), 198);
    }

    #[test]
    fn with_a_prepared_transaction_from_the_start_nothing_may_be_read() {
        let held = &mut horizon(None);
        let look = Look {
            now: 100 * S,
            open: vec![open("p", Began::Unsettled(Some(40 * S)))],
        };
        let bound = held.after(&look);
        assert!(bound.below.is_start());
        let by = bound.held_back.expect("told");
        assert_eq!((by.since_ms, by.lasting.as_secs()), (40_000, 60));
        assert_eq!(by.by, "transaction p");
    }

    #[test]
    fn one_of_unknown_begin_began_after_the_last_look_without_it() {
        let held = &mut horizon(None);
        assert_eq!(bound(held, 100, &[]), 97);
        let unknown = [open("u", Began::Unknown)];
        assert_eq!(bound(held, 105, &unknown), 97);
        assert_eq!(bound(held, 130, &unknown), 97);
        assert_eq!(bound(held, 131, &[open("v", Began::Unknown)]), 127);
    }

    #[test]
    fn one_of_unknown_begin_that_was_there_first_keeps_it_at_nothing() {
        let held = &mut horizon(None);
        let unknown = [open("u", Began::Unknown)];
        assert_eq!(bound(held, 100, &unknown), -1);
        assert_eq!(bound(held, 110, &unknown), -1);
        assert_eq!(bound(held, 111, &[]), 108);
    }

    #[test]
    fn past_the_hold_limit_a_transaction_is_ignored_and_told() {
        let held = &mut horizon(Some(60));
        let all = [
            open("a", Began::At(30 * S)),
            open("p", Began::Unsettled(Some(35 * S))),
        ];
        assert_eq!(bound(held, 80, &all), -1);
        assert_eq!(bound(held, 91, &all), -1, "p still holds");
        let look = Look {
            now: 96 * S,
            open: all.to_vec(),
        };
        let bound = held.after(&look);
        assert_eq!(held.bound, Some(93 * S));
        let by = bound.held_back.expect("told");
        assert!(by.ignored);
        assert_eq!(by.lasting.as_secs(), 61);
    }

    #[test]
    fn a_transaction_of_a_moment_is_not_worth_telling() {
        let held = &mut horizon(None);
        let look = Look {
            now: 100 * S,
            open: vec![open("a", Began::At(100 * S - 5000))],
        };
        assert_eq!(held.after(&look).held_back, None);
    }
}
