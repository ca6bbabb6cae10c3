//! What publishing costs the database whose entities are published.

use std::time::Duration;

use uuid::Uuid;

use crate::controlled::{Running, eventually};
use crate::scene::{PERSON, Scene};

const TYPES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const OF_EACH: u64 = 20_000;

/// Rows of the entities' table that sessions which have ended have read.
fn rows_read(client: &mut postgres::Client) -> i64 {
    eventually("the readers' sessions have ended", || {
        let readers = "SELECT FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'archive_ingest reader'";
        let readers = client.query(readers, &[]).expect("an answer");
        readers.is_empty().then_some(())
    });
    let read = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0)
        FROM pg_stat_user_tables WHERE relname = 'kernel_entity'";
    client.query_one(read, &[]).expect("an answer").get(0)
}

/// Entities lie along their stamps among those of all other types: whoever reads
/// type by type reads all of them for each type.
#[test]
fn a_backfill_does_not_read_the_entities_of_many_types_once_for_each_type() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let shared = Uuid::from_u128(rand::random());
    let types = TYPES.map(|realm| scene.register(realm, shared, "Person", PERSON));
    for first in (0..OF_EACH).step_by(1000) {
        for of in &types {
            scene.store(of, first, 1000, Duration::from_secs(86_400));
        }
    }
    let mut client = scene.application();
    let before = rows_read(&mut client);
    let running = Running::start(&mut scene, &["run", "--only", "producer"]);
    for of in &types {
        let all = || (running.published(of) == OF_EACH).then_some(());
        eventually("all of it", all);
    }
    running.end();
    let read = rows_read(&mut client) - before;
    let stored = TYPES.len() as i64 * OF_EACH as i64;
    assert!(read >= stored, "{read} rows were read of {stored}");
    // Once for the first pages, once for the first type that is behind, which
    // begins alone, and then once for the others: type by type it is twelve times.
    assert!(read < 5 * stored, "{read} rows were read of {stored}");
}
