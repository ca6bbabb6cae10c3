//! What a page holds, and in which order.

use std::collections::BTreeMap;

use archive_ingest::entities::{Bound, Position, TypeId};
use proptest::prelude::*;
use uuid::Uuid;

use crate::kernel::{Kernel, Row, far_future, random_uuid, row};

on_every_kernel!(
    pages_of_any_size_hold_every_entity_once_in_the_order_of_bytes,
    types_that_are_read_together_get_what_each_gets_by_itself,
    entities_of_equal_position_come_in_one_page_by_id,
    a_page_ends_below_the_bound_and_begins_after_the_position,
    bytes_end_a_page_and_one_entity_comes_however_large,
    a_payload_keeps_all_digits_of_its_numbers,
    an_entity_of_any_status_is_read,
    a_type_of_few_entities_among_many_is_read_whole,
    an_entity_of_a_project_that_joined_meanwhile_is_read,
    ids_are_fetched_as_they_are_now_and_unknown_ones_left_out,
    news_names_the_types_that_have_something_between_two_positions,
);

/// Times at which orders of text differ: without a fraction and with one,
/// beside ids that begin with digits and with letters.
fn awkward_rows() -> Vec<Row> {
    let times = [
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.000001",
        "2026-01-01T00:00:00.100000",
        "2026-01-01T00:00:00.123456",
        "2026-01-01T00:00:00.999999",
        "2026-01-01T00:00:01",
        "2026-01-01T00:00:01.000001",
        "2026-01-01T00:00:10",
        "2026-01-01T00:00:09.999999",
        "2026-01-01T00:01:00",
        "2025-12-31T23:59:59.999999",
        "2027-01-01T00:00:00",
    ];
    let ids = [1, 9, 10, 0xA, 0xF].map(|first: u128| first << 124 | first);
    let mut rows = Vec::new();
    for time in times {
        for id in ids {
            let unique = rand::random::<u64>();
            rows.push(row(id ^ (u128::from(unique) << 8), time));
        }
    }
    rows
}

fn in_order(rows: &[Row]) -> Vec<(Uuid, String)> {
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| (row.id, row.modified.clone()))
        .collect();
    all.sort_by(|one, other| (&one.1, one.0).cmp(&(&other.1, other.0)));
    all
}

fn pages_of_any_size_hold_every_entity_once_in_the_order_of_bytes(kernel: &Kernel) {
    let own = kernel.one_type();
    let other = kernel.register("r2", random_uuid(), "Other");
    let rows = awkward_rows();
    kernel.application().insert_all(&own, &rows);
    kernel.application().insert_all(&other, &awkward_rows());
    for limit in [1, 2, 3, 7, 59, 60, 61, 1000] {
        assert_eq!(kernel.read_all(&own, limit), in_order(&rows), "{limit}");
    }
}

/// Beside two others that have the realm of one and the schema of another.
fn types_that_are_read_together_get_what_each_gets_by_itself(kernel: &Kernel) {
    let (person, visit) = (random_uuid(), random_uuid());
    let types = [
        ("north", person, "Person"),
        ("south", visit, "Visit"),
        ("south", person, "Person"),
        ("north", visit, "Visit"),
    ]
    .map(|(realm, schema_id, name)| kernel.register(realm, schema_id, name));
    let rows: Vec<Vec<Row>> = types.iter().map(|_| awkward_rows()).collect();
    for (of, rows) in types.iter().zip(&rows) {
        kernel.application().insert_all(of, rows);
    }
    let empty = kernel.register("north", random_uuid(), "Empty");
    let asked = [&types[0], &types[1], &empty].map(|of| of.id.clone());
    for limit in [1, 2, 7, 59, 121, 1000] {
        let read = read_together(kernel, &asked, limit);
        assert_eq!(read[&asked[0]], in_order(&rows[0]), "{limit}");
        assert_eq!(read[&asked[1]], in_order(&rows[1]), "{limit}");
        assert_eq!(read[&asked[2]], [], "{limit}");
        assert_eq!(read.len(), asked.len(), "{limit}");
    }
}

/// Everything of some types, so many at a time.
fn read_together(
    kernel: &Kernel,
    types: &[TypeId],
    limit: usize,
) -> BTreeMap<TypeId, Vec<(Uuid, String)>> {
    let mut all: BTreeMap<_, Vec<_>> = types.iter().map(|of| (of.clone(), vec![])).collect();
    let (mut after, bound) = (Position::start(), far_future());
    loop {
        let pages = kernel
            .source
            .pages(types, &after, &bound, limit, usize::MAX)
            .unwrap();
        for (of, entities) in pages.of {
            for entity in entities {
                assert!(after < entity.modified && entity.modified <= pages.end);
                let read = (entity.id, entity.modified.into_string());
                all.entry(of.clone()).or_default().push(read);
            }
        }
        assert!(after < pages.end, "it comes on");
        after = pages.end;
        if !pages.more {
            assert_eq!(after, bound.below);
            return all;
        }
    }
}

fn entities_of_equal_position_come_in_one_page_by_id(kernel: &Kernel) {
    let own = kernel.one_type();
    let position = |n: u128| match n {
        0..10 => "2026-01-01T00:00:00.5-same",
        10..12 => "2026-01-01T00:00:01-same",
        _ => "2026-01-01T00:00:02-same",
    };
    let rows: Vec<Row> = (0..40)
        .rev()
        .map(|n| Row {
            modified: position(n).into(),
            ..row(n, "")
        })
        .collect();
    kernel.application().insert_all(&own, &rows);
    for limit in [1, 5, 10, 11, 15, 39, 40] {
        assert_eq!(kernel.read_all(&own, limit), in_order(&rows), "{limit}");
    }
}

fn a_page_ends_below_the_bound_and_begins_after_the_position(kernel: &Kernel) {
    let own = kernel.one_type();
    let rows = awkward_rows();
    kernel.application().insert_all(&own, &rows);
    let all = in_order(&rows);
    for (from, to) in [(0, 60), (3, 4), (5, 7), (14, 31), (59, 60)] {
        let bound = Bound {
            below: Position::new(all[to - 1].1.as_str()),
            held_back: None,
        };
        let after = Position::new(all[from].1.as_str());
        let page = kernel.source.page(&own.id, &after, &bound, 100, 1 << 20);
        let read: Vec<_> = page.unwrap().entities.into_iter().map(|e| e.id).collect();
        let expected: Vec<_> = all[from + 1..(to - 1).max(from + 1)]
            .iter()
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(read, expected, "{from} to {to}");
    }
    let nothing = Bound {
        below: Position::start(),
        held_back: None,
    };
    let page = kernel
        .source
        .page(&own.id, &Position::start(), &nothing, 100, 1 << 20);
    assert_eq!(page.unwrap(), Default::default());
}

fn bytes_end_a_page_and_one_entity_comes_however_large(kernel: &Kernel) {
    let own = kernel.one_type();
    let large = format!("\"{}\"", "x".repeat(100_000));
    let rows: Vec<Row> = (0..50)
        .map(|n| Row {
            payload: large.clone(),
            ..row(n, &format!("2026-01-01T00:00:{n:02}"))
        })
        .collect();
    kernel.application().insert_all(&own, &rows);
    let page = |bytes| {
        kernel
            .source
            .page(&own.id, &Position::start(), &far_future(), 1000, bytes)
            .unwrap()
    };
    let one = page(1);
    assert_eq!((one.entities.len(), one.more), (1, true));
    let some = page(1_000_000);
    assert_eq!((some.entities.len(), some.more), (10, true));
    let all = page(usize::MAX);
    assert_eq!((all.entities.len(), all.more), (50, false));
}

fn a_payload_keeps_all_digits_of_its_numbers(kernel: &Kernel) {
    let own = kernel.one_type();
    let number = "12345678901234567890123.4567890123456789010";
    kernel.application().insert(
        &own,
        &Row {
            payload: format!("{{\"n\": {number}, \"text\": \"é \\u20ac '\"}}"),
            ..row(1, "2026-01-01T00:00:00")
        },
    );
    let fetched = kernel.source.fetch(&own.id, &[Uuid::from_u128(1)]).unwrap();
    assert!(
        fetched[0].payload.contains(number),
        "{}",
        fetched[0].payload
    );
    let parsed: serde_json::Value = fetched[0].payload.parse().unwrap();
    assert_eq!(parsed["text"], "é € '");
}

fn an_entity_of_any_status_is_read(kernel: &Kernel) {
    let own = kernel.one_type();
    let mut application = kernel.application();
    application.insert(&own, &row(1, "2026-01-01T00:00:00"));
    let table = match kernel.is_postgres() {
        true => "kernel_entity",
        false => "entity",
    };
    application.insert(&own, &row(2, "2026-01-01T00:00:01"));
    application.execute(&format!(
        "UPDATE {table} SET status = 'Publishable' WHERE id = '{}'",
        Uuid::from_u128(2)
    ));
    assert_eq!(kernel.read_all(&own, 10).len(), 2);
}

fn a_type_of_few_entities_among_many_is_read_whole(kernel: &Kernel) {
    let (many, few) = (
        kernel.register("r", random_uuid(), "Many"),
        kernel.register("r", random_uuid(), "Few"),
    );
    let mut application = kernel.application();
    let time = |n: u128| format!("2026-01-01T{:02}:{:02}:00", n / 60, n % 60);
    let of_many: Vec<Row> = (0..1000).map(|n| row(n, &time(n))).collect();
    let of_few: Vec<Row> = (0..5).map(|n| row(5000 + n, &time(n * 250))).collect();
    application.insert_all(&many, &of_many);
    application.insert_all(&few, &of_few);
    assert_eq!(kernel.read_all(&few, 2), in_order(&of_few));
    assert_eq!(kernel.read_all(&many, 100), in_order(&of_many));
}

/// Between two pages of a type, another project of the realm begins to use its
/// schema.
fn an_entity_of_a_project_that_joined_meanwhile_is_read(kernel: &Kernel) {
    let own = kernel.one_type();
    let mut application = kernel.application();
    application.insert(&own, &row(1, "2026-01-01T00:00:00"));
    application.insert(&own, &row(2, "2026-01-01T01:00:00"));
    let page = |after: &str| {
        let after = Position::new(after);
        kernel
            .source
            .page(&own.id, &after, &far_future(), 1, 1 << 20)
            .unwrap()
    };
    let first = page("");
    assert_eq!(first.entities[0].id, Uuid::from_u128(1));
    let joined = kernel.register("r", own.id.schema_id, "Person");
    application.insert(&joined, &row(3, "2026-01-01T00:30:00"));
    let second = page(first.entities[0].modified.as_str());
    assert_eq!(second.entities[0].id, Uuid::from_u128(3));
}

fn ids_are_fetched_as_they_are_now_and_unknown_ones_left_out(kernel: &Kernel) {
    let own = kernel.one_type();
    let other = kernel.register("r2", random_uuid(), "Other");
    let mut application = kernel.application();
    let rows: Vec<Row> = (0..1200)
        .map(|n| {
            row(
                n,
                &format!("2026-01-01T00:{:02}:{:02}", (1199 - n) / 60, n % 60),
            )
        })
        .collect();
    application.insert_all(&own, &rows);
    application.insert(&other, &row(5000, "2026-01-01T00:00:00"));
    let asked: Vec<Uuid> = (0..1200).chain([5000, 6000]).map(Uuid::from_u128).collect();
    let fetched = kernel.source.fetch(&own.id, &asked).unwrap();
    let fetched: Vec<_> = fetched
        .into_iter()
        .map(|entity| (entity.id, entity.modified.into_string()))
        .collect();
    assert_eq!(fetched, in_order(&rows));
}

fn news_names_the_types_that_have_something_between_two_positions(kernel: &Kernel) {
    let (one, other) = (
        kernel.register("r1", random_uuid(), "Person"),
        kernel.register("r2", random_uuid(), "Person"),
    );
    let mut application = kernel.application();
    application.insert(&one, &row(1, "2030-01-01T00:00:00.5"));
    application.insert(&other, &row(2, "2030-01-01T00:01:00.5"));
    let news = |from: &str, to: &str| -> Vec<TypeId> {
        let (from, to) = (Position::new(from), Position::new(to));
        kernel.source.news(&from, &to).unwrap()
    };
    let both = [one.id.clone(), other.id.clone()];
    assert_eq!(news("2030-01-01T00:00:00.4", "2030-01-01T00:02:00"), both);
    assert_eq!(
        news("2030-01-01T00:00:00.4", "2030-01-01T00:00:01"),
        both[..1]
    );
    assert_eq!(
        news("2030-01-01T00:00:30", "2030-01-01T00:02:00"),
        both[1..]
    );
    assert_eq!(news("2030-01-01T00:02:00", "2031-01-01T00:00:00"), []);
}

/// No text as position makes a source panic or read what is not there.
#[test]
fn no_text_as_position_breaks_a_page() {
    let kernels = [
        Some(Kernel::demo()),
        Kernel::postgres(),
        Kernel::postgres_of_a_language(),
    ];
    for kernel in kernels.into_iter().flatten() {
        let own = kernel.one_type();
        kernel
            .application()
            .insert(&own, &row(1, "2026-01-01T00:00:00"));
        let text = "[^\\x00]{0,30}|2026-0[0-9]-01T0[0-9]:00:00(\\.[0-9]{0,7})?(-[^\\x00]{0,9})?";
        proptest!(ProptestConfig::with_cases(40), |(after in text, below in text)| {
            let bound = Bound { below: Position::new(below.as_str()), held_back: None };
            let after = Position::new(after.as_str());
            let page = kernel.source.page(&own.id, &after, &bound, 10, 1000).unwrap();
            let expected = row(1, "2026-01-01T00:00:00").modified;
            let is_between = after.as_str() < expected.as_str() && expected < below;
            prop_assert_eq!(page.entities.len(), usize::from(is_between));
        });
    }
}
