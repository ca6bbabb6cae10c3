//! Two workers at the same moment.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use archive_ingest::catalogue::{Catalogue, Owner, Row};
use uuid::Uuid;

use crate::messages::*;
use crate::place::Place;

on_every_backend!(
    two_workers_that_claim_the_same_uuids_agree_and_nobody_adds_anothers_row,
    two_workers_that_add_the_same_rows_in_opposite_orders_both_succeed,
);

const ROUNDS: u64 = 12;
const BATCH: u64 = 40;

/// Runs both at once, each on a connection of its own.
fn at_once<A: Send, B: Send>(
    place: &Place,
    one: impl FnOnce(&dyn Catalogue) -> A + Send,
    other: impl FnOnce(&dyn Catalogue) -> B + Send,
) -> (A, B) {
    let barrier = Barrier::new(2);
    let (ours, theirs) = (place.open(), place.open());
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            barrier.wait();
            one(&*ours)
        });
        let other = scope.spawn(|| {
            barrier.wait();
            other(&*theirs)
        });
        (one.join().unwrap(), other.join().unwrap())
    })
}

/// What a worker does with a batch: claim, then add what it owns. Gives the
/// UUIDs that it was told are its own, and those that it added.
fn work(catalogue: &dyn Catalogue, rows: &[Row]) -> (Vec<Uuid>, Vec<Uuid>) {
    let (mut own, mut added) = (Vec::new(), Vec::new());
    // Small batches, so that one worker's adding meets the other's claiming.
    for rows in rows.chunks(5) {
        let claims: Vec<_> = rows.iter().map(claim_of).collect();
        let owners: BTreeMap<_, _> = catalogue.claim(&claims).unwrap().into_iter().collect();
        assert_eq!(owners.len(), rows.len(), "every UUID has an owner");
        let is_own = |row: &&Row| match &owners[&row.uuid] {
            Owner::Claim { delivery: of, .. } => *of == delivery(row),
            Owner::Row(stored) => stored.row.delivery() == row.delivery(),
        };
        let mine: Vec<Row> = rows.iter().filter(is_own).cloned().collect();
        own.extend(mine.iter().map(|row| row.uuid));
        added.extend(catalogue.add(&mine, &[]).unwrap().rows);
    }
    own.sort();
    added.sort();
    (own, added)
}

fn two_workers_that_claim_the_same_uuids_agree_and_nobody_adds_anothers_row(place: &Place) {
    for round in 0..ROUNDS {
        let ours: Vec<Row> = (round * BATCH..(round + 1) * BATCH).map(message).collect();
        let theirs: Vec<Row> = ours.iter().rev().map(rival).collect();
        let (one, other) = at_once(place, |c| work(c, &ours), |c| work(c, &theirs));
        assert_eq!(one.0, one.1, "what one owned, one added");
        assert_eq!(other.0, other.1, "what the other owned, the other added");
        for (row, rival) in ours.iter().zip(theirs.iter().rev()) {
            let stored = place.catalogue.fetch(&[row.uuid]).unwrap();
            assert_eq!(stored.len(), 1);
            let expected = if one.1.contains(&row.uuid) {
                row
            } else {
                rival
            };
            assert_eq!(&stored[0].row, expected);
        }
    }
    assert_eq!(place.number("SELECT count(*) FROM uuid_claims"), 0);
    let count = place.catalogue.count(&Default::default()).unwrap();
    assert_eq!(count, ROUNDS * BATCH);
}

fn two_workers_that_add_the_same_rows_in_opposite_orders_both_succeed(place: &Place) {
    for round in 0..ROUNDS {
        let rows: Vec<Row> = (round * BATCH..(round + 1) * BATCH)
            .map(|n| on_topic(["a", "b", "c"][n as usize % 3], n as i64, n))
            .collect();
        let reversed: Vec<Row> = rows.iter().rev().cloned().collect();
        let claims: Vec<_> = rows.iter().map(claim_of).collect();
        place.catalogue.claim(&claims).unwrap();
        let retries: Vec<_> = rows.iter().map(|row| retry_of(row, 9)).collect();
        let retries_reversed: Vec<_> = retries.iter().rev().cloned().collect();
        let (one, other) = at_once(
            place,
            |c| c.add(&rows, &retries).unwrap(),
            |c| c.add(&reversed, &retries_reversed).unwrap(),
        );
        assert_eq!(one.rows.len() + other.rows.len(), rows.len());
        assert_eq!(one.retries + other.retries, BATCH);
    }
}
