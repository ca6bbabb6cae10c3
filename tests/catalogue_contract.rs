//! What every catalogue promises, on SQLite and on PostgreSQL.
//!
//! PostgreSQL is the server that TEST_PG_HOST, TEST_PG_PORT, TEST_PG_USER,
//! TEST_PG_PASSWORD and TEST_PG_DB name; every test has a database of its own.

/// Makes a test of each function for each backend, on a database of its own.
macro_rules! on_every_backend {
    ($($promise:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[test] fn $promise() { super::$promise(&crate::place::Place::sqlite()); })*
        }
        mod on_postgres {
            $(#[test] fn $promise() {
                if let Some(place) = crate::place::Place::postgres() {
                    super::$promise(&place);
                }
            })*
        }
    };
}

#[path = "catalogue_contract/archive_core.rs"]
mod archive_core;
#[path = "catalogue_contract/messages.rs"]
mod messages;
#[path = "catalogue_contract/place.rs"]
mod place;

#[path = "catalogue_contract/adding.rs"]
mod adding;
#[path = "catalogue_contract/claims.rs"]
mod claims;
#[path = "catalogue_contract/counts.rs"]
mod counts;
#[path = "catalogue_contract/gaps.rs"]
mod gaps;
#[path = "catalogue_contract/holes.rs"]
mod holes;
#[path = "catalogue_contract/paging.rs"]
mod paging;
#[path = "catalogue_contract/plans.rs"]
mod plans;
#[path = "catalogue_contract/postgres_connecting.rs"]
mod postgres_connecting;
#[path = "catalogue_contract/postgres_takeover.rs"]
mod postgres_takeover;
#[path = "catalogue_contract/postgres_tls.rs"]
mod postgres_tls;
#[path = "catalogue_contract/races.rs"]
mod races;
#[path = "catalogue_contract/round_trips.rs"]
mod round_trips;
#[path = "catalogue_contract/schema.rs"]
mod schema;
#[path = "catalogue_contract/sqlite_file.rs"]
mod sqlite_file;
#[path = "catalogue_contract/state.rs"]
mod state;
#[path = "catalogue_contract/streams.rs"]
mod streams;
#[path = "catalogue_contract/stuck.rs"]
mod stuck;
#[path = "catalogue_contract/topic_counts.rs"]
mod topic_counts;
#[path = "catalogue_contract/topic_lives.rs"]
mod topic_lives;
#[path = "catalogue_contract/upkeep.rs"]
mod upkeep;
#[path = "catalogue_contract/uploads.rs"]
mod uploads;
