//! Ids and positions, streamed.

use archive_ingest::entities::{Position, SourceError};
use uuid::Uuid;

use crate::kernel::{Kernel, Row, row};

on_every_kernel!(
    a_range_is_half_open_and_in_order,
    a_range_of_more_than_one_piece_is_whole_and_may_ask_other_questions_meanwhile,
    the_receiver_ends_a_range,
);

fn received(kernel: &Kernel, own: &crate::kernel::Type, from: &str, to: &str) -> Vec<Uuid> {
    let (mut ids, mut last) = (Vec::new(), Position::start());
    kernel
        .source
        .range(
            &own.id,
            &Position::new(from),
            &Position::new(to),
            &mut |id, position| {
                assert!(last < position);
                last = position;
                ids.push(id);
                Ok(())
            },
        )
        .unwrap();
    ids
}

fn a_range_is_half_open_and_in_order(kernel: &Kernel) {
    let own = kernel.one_type();
    let times = ["00", "00.5", "01", "01.000001", "02"];
    let rows: Vec<Row> = (0..)
        .zip(times)
        .map(|(n, time)| row(n, &format!("2026-01-01T00:00:{time}")))
        .collect();
    kernel.application().insert_all(&own, rows.iter().rev());
    for from in 0..rows.len() {
        for to in from..rows.len() {
            let expected: Vec<_> = rows[from..to].iter().map(|row| row.id).collect();
            let (from, to) = (&rows[from].modified, &rows[to].modified);
            assert_eq!(received(kernel, &own, from, to), expected);
        }
    }
    assert_eq!(received(kernel, &own, "", "9").len(), 5);
    assert_eq!(received(kernel, &own, "9", "").len(), 0);
}

fn a_range_of_more_than_one_piece_is_whole_and_may_ask_other_questions_meanwhile(kernel: &Kernel) {
    let own = kernel.one_type();
    // 25,000 rows, many of which share a second.
    let rows: Vec<Row> = (0..25_000)
        .map(|n| {
            row(
                n,
                &format!("2026-01-01T00:{:02}:00.{:06}", n / 5000, n % 5000),
            )
        })
        .collect();
    insert_many(kernel, &own, &rows);
    let (mut n, mut counted) = (0, 0);
    kernel
        .source
        .range(
            &own.id,
            &Position::start(),
            &Position::new("9"),
            &mut |id, _| {
                assert_eq!(id, rows[n].id);
                if n % 10_000 == 0 {
                    counted = kernel.source.count(&own.id)?;
                }
                n += 1;
                Ok(())
            },
        )
        .unwrap();
    assert_eq!((n, counted), (25_000, 25_000));
}

fn the_receiver_ends_a_range(kernel: &Kernel) {
    let own = kernel.one_type();
    let rows: Vec<Row> = (0..5).map(|n| row(n, "2026-01-01T00:00:00")).collect();
    kernel.application().insert_all(&own, &rows);
    let mut n = 0;
    let ended = kernel.source.range(
        &own.id,
        &Position::start(),
        &Position::new("9"),
        &mut |_, _| {
            n += 1;
            match n {
                3 => Err(SourceError::Interrupted("enough".into())),
                _ => Ok(()),
            }
        },
    );
    assert_eq!(n, 3);
    assert_eq!(ended.unwrap_err().to_string(), "enough");
}

/// One statement for many rows.
pub fn insert_many(kernel: &Kernel, own: &crate::kernel::Type, rows: &[Row]) {
    let table = match kernel.is_postgres() {
        true => "kernel_entity (id, payload, modified, mapping_id, schemadecorator_id, project_id)",
        false => "entity (id, payload, modified, status, schemadecorator_id)",
    };
    let mut application = kernel.application();
    for rows in rows.chunks(1000) {
        let values: Vec<String> = rows
            .iter()
            .map(|row| {
                let (id, payload, modified) = (row.id, &row.payload, &row.modified);
                let of = own.decorator;
                match kernel.is_postgres() {
                    true => format!(
                        "('{id}', '{payload}', '{modified}', \
                         '00000000-0000-0000-0000-00000000000a', '{of}', '{}')",
                        own.project
                    ),
                    false => format!("('{id}', '{payload}', '{modified}', 'x', '{of}')"),
                }
            })
            .collect();
        application.execute(&format!("INSERT INTO {table} VALUES {}", values.join(",")));
    }
}
