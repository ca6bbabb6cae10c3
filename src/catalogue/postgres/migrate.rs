//! The schema, brought to this program's version.

use crate::postgres_server::Migrations;

mod embedded {
    refinery::embed_migrations!("src/catalogue/migrations/postgres");
}

pub const MIGRATIONS: Migrations = Migrations {
    history: "archive_ingest_migrations",
    // "archive" in ASCII, big-endian.
    lock: 0x0061_7263_6869_7665,
    runner: embedded::migrations::runner,
};
