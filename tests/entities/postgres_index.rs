//! A page costs what it holds, however many entities there are.

use archive_ingest::entities::Position;
use postgres::Client;

use crate::kernel::{Application, Kernel, Type, eventually, far_future, random_uuid};

const ROWS: i64 = 100_000;

/// So many entities, 1.357 ms after each other, every hundredth of `few`.
fn fill(kernel: &Kernel, many: &Type, few: &Type) -> Box<Client> {
    let Application::Server(mut client) = kernel.application() else {
        unreachable!("a server");
    };
    client
        .batch_execute(&format!(
            "INSERT INTO kernel_entity
                 (id, payload, modified, mapping_id, schemadecorator_id, project_id)
             SELECT id, jsonb_build_object('n', n),
                 to_char(timestamp '2026-01-01' + n * interval '1.357 ms',
                     'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '-' || id,
                 '00000000-0000-0000-0000-00000000000a',
                 CASE n % 100 WHEN 0 THEN '{}' ELSE '{}' END::uuid, '{}'
             FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, {ROWS}) AS n) AS made",
            few.decorator, many.decorator, many.project
        ))
        .unwrap();
    tidy(&mut client);
    client
}

/// Has the server know what there is, and count what this session has read, which it does only now and
/// then by itself.
fn tidy(client: &mut Client) {
    for statement in ["VACUUM ANALYZE", "SELECT pg_stat_force_next_flush()"] {
        client.batch_execute(statement).unwrap();
    }
}

/// Rows of the entities' table that were read so far, by whole scans and by
/// indexes, once the server has counted them.
fn reads(client: &mut Client) -> (i64, i64) {
    let row = client
        .query_one(
            "SELECT seq_tup_read, coalesce(idx_tup_fetch, 0)
             FROM pg_stat_user_tables WHERE relname = 'kernel_entity'",
            &[],
        )
        .unwrap();
    (row.get(0), row.get(1))
}

/// What a call of a source of its own reads of the table.
fn cost_of(
    kernel: &Kernel,
    client: &mut Client,
    call: impl FnOnce(&dyn archive_ingest::entities::EntitySource),
) -> (i64, i64) {
    let before = reads(client);
    let source = kernel.open();
    call(&*source);
    // A session tells what it has read at its end.
    drop(source);
    eventually("the sessions end", || {
        let ours = "SELECT FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'archive_ingest reader'";
        client.query(ours, &[]).unwrap().is_empty().then_some(())
    });
    let after = eventually("the reads are counted", || {
        client
            .batch_execute("SELECT pg_stat_clear_snapshot()")
            .unwrap();
        let now = reads(client);
        (now != before).then_some(now)
    });
    (after.0 - before.0, after.1 - before.1)
}

fn half_way() -> Position {
    Position::new("2026-01-01T00:01:00")
}

fn a_page_reads_little_more_than_it_holds(kernel: &Kernel, most: i64) {
    let (many, few) = (
        kernel.register("r", random_uuid(), "Many"),
        kernel.register("r", random_uuid(), "Few"),
    );
    let mut client = fill(kernel, &many, &few);
    for after in [Position::start(), half_way()] {
        let (scanned, fetched) = cost_of(kernel, &mut client, |source| {
            let page = source.page(&many.id, &after, &far_future(), 1000, 1 << 24);
            assert_eq!(page.unwrap().entities.len(), 1000);
        });
        assert_eq!(scanned, 0, "a scan of the whole table");
        assert!(fetched < most, "{fetched} rows for a page of 1000");
    }
}

#[test]
fn a_page_among_many_rows_is_a_walk_along_the_index() {
    if let Some(kernel) = Kernel::postgres() {
        a_page_reads_little_more_than_it_holds(&kernel, 1100);
    }
}

#[test]
fn a_page_is_a_walk_along_the_index_also_where_a_language_orders_it() {
    if let Some(kernel) = Kernel::postgres_of_a_language() {
        // Twice: where its seconds end, and what lies in them.
        a_page_reads_little_more_than_it_holds(&kernel, 4000);
    }
}

#[test]
fn a_type_of_few_entities_does_not_walk_over_those_of_others() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let (many, few) = (
        kernel.register("r", random_uuid(), "Many"),
        kernel.register("r", random_uuid(), "Few"),
    );
    let mut client = fill(&kernel, &many, &few);
    client
        .batch_execute(&format!(
            "DELETE FROM kernel_entity WHERE schemadecorator_id = '{}'
                AND (payload ->> 'n')::int > 1000",
            few.decorator
        ))
        .unwrap();
    tidy(&mut client);
    let (scanned, fetched) = cost_of(&kernel, &mut client, |source| {
        let page = source.page(&few.id, &Position::start(), &far_future(), 1000, 1 << 24);
        assert_eq!(page.unwrap().entities.len(), 10);
    });
    assert_eq!(scanned, 0, "a scan of the whole table");
    assert!(fetched < 100, "{fetched} rows for 10 entities");
}

#[test]
fn realms_without_an_entity_cost_nothing_when_types_are_listed() {
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let (many, few) = (
        kernel.register("r", random_uuid(), "Many"),
        kernel.register("r", random_uuid(), "Few"),
    );
    kernel.register("empty", random_uuid(), "Nothing");
    let mut client = fill(&kernel, &many, &few);
    let (scanned, fetched) = cost_of(&kernel, &mut client, |source| {
        assert_eq!(source.types().unwrap().len(), 2);
    });
    assert_eq!(scanned, 0, "a scan of the whole table");
    assert!(fetched < 300, "{fetched} rows");
}

/// Of four types, in whose tables there is so little that the server never counts
/// it by itself.
#[test]
fn types_that_are_read_together_are_read_along_the_index_page_after_page() {
    const PAGES: i64 = 10;
    let Some(kernel) = Kernel::postgres() else {
        return;
    };
    let types: Vec<Type> = ["Person", "Visit", "House", "Village"]
        .map(|name| kernel.register("r", random_uuid(), name))
        .into();
    let ids: Vec<_> = types.iter().map(|of| of.id.clone()).collect();
    let Application::Server(mut client) = kernel.application() else {
        unreachable!("a server");
    };
    fill_evenly(&mut client, &types);
    let (scanned, fetched) = cost_of(&kernel, &mut client, |source| {
        let mut after = Position::start();
        for _ in 0..PAGES {
            let pages = source.pages(&ids, &after, &far_future(), 4000, 1 << 24);
            after = pages.unwrap().end;
        }
    });
    assert_eq!(scanned, 0, "a scan of the whole table");
    assert!(fetched < PAGES * 4100, "{fetched} rows");
}

fn fill_evenly(client: &mut Client, types: &[Type]) {
    for (place, of) in types.iter().enumerate() {
        client
            .batch_execute(&format!(
                "INSERT INTO kernel_entity
                     (id, payload, modified, mapping_id, schemadecorator_id, project_id)
                 SELECT id, jsonb_build_object('n', n, 'text', repeat(md5(n::text), 15)),
                     to_char(timestamp '2026-01-01' + n * interval '5 ms' + {place} * interval '1 ms',
                         'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '-' || id,
                     '00000000-0000-0000-0000-00000000000a', '{}', '{}'
                 FROM (SELECT gen_random_uuid() AS id, n
                     FROM generate_series(1, {ROWS} / 4) AS n) AS made",
                of.decorator, of.project
            ))
            .unwrap();
    }
    for statement in [
        "VACUUM ANALYZE kernel_entity",
        "SELECT pg_stat_force_next_flush()",
    ] {
        client.batch_execute(statement).unwrap();
    }
}
