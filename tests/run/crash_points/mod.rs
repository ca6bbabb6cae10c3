//! A process that ends between any two effects of the archiver leaves nothing
//! that the next run does not finish.
//!
//! The order of effects: UUID claimed → object stored → row added → offset
//! committed. This executable starts itself again as a process that runs the
//! library's archiver on a catalogue and a store which end it on purpose.

mod dying;
mod point;
mod worker;

use archive_ingest::record::Record;

use self::point::{Effect, Point, after, before};
use self::worker::crash;
use crate::support::compare::{assert_each_once, assert_no_orphan};
use crate::support::records::crowded;
use crate::support::{Broker, Place, foreign};

const PARTITIONS: i32 = 4;
const RECORDS: usize = 400;

/// Of the records, those that archive-core has stored before.
const FOREIGN: usize = 20;

/// Two crashes one after the other: the second finds what the first has left.
const POINTS: [[Point; 2]; 9] = [
    [before(Effect::Claim, 1), before(Effect::Claim, 4)],
    [after(Effect::Claim, 1), after(Effect::Claim, 4)],
    [before(Effect::Put, 1), before(Effect::Put, 33)],
    [after(Effect::Put, 1), after(Effect::Put, 33)],
    [before(Effect::Rows, 1), before(Effect::Rows, 4)],
    [after(Effect::Rows, 1), after(Effect::Rows, 4)],
    [before(Effect::Origin, 1), before(Effect::Origin, 5)],
    [after(Effect::Origin, 1), after(Effect::Origin, 5)],
    [before(Effect::Commit, 2), before(Effect::Commit, 1)],
];

#[test]
fn on_kafka_postgresql_and_s3_every_crash_point_leaves_each_record_once() {
    survives_every_point(Place::real);
}

#[test]
fn on_kafka_sqlite_and_a_directory_every_crash_point_leaves_each_record_once() {
    survives_every_point(Place::local);
}

/// All at once: most of the time is spent waiting for the broker.
fn survives_every_point(place: fn(&Broker) -> Option<Place>) {
    std::thread::scope(|scope| {
        for points in POINTS {
            scope.spawn(move || {
                // Each has a broker's topics, and so a group, of its own.
                let Some(broker) = Broker::connect() else {
                    return;
                };
                if let Some(place) = place(&broker) {
                    survives(points, &broker, place);
                }
            });
        }
    });
}

fn survives(points: [Point; 2], broker: &Broker, mut place: Place) {
    place.set("archive", "archive-batch-records", "20");
    place.set("archive", "archive-put-concurrency", "8");
    // A member that comes back under its name is let in at once.
    place.set(
        "hop",
        "hop-properties",
        "{ \"group.instance.id\" = \"worker\", \"session.timeout.ms\" = 6000 }",
    );
    let topic = broker.create("crash", PARTITIONS);
    let (records, retries) = crowded(&topic, PARTITIONS, RECORDS);
    place.catalogue().migrate().expect("an empty database");
    // The last of each ten is a plain record.
    for record in records.chunks(10).take(FOREIGN).map(|ten| &ten[9]) {
        foreign::archive(&place, record);
    }
    broker.send(&records);
    for point in points {
        crash(&place, point);
        // Panics where a row's object is missing.
        place.archived();
    }
    make_claims_old(&place);
    let before = place.archived().len();
    let last = place.run_to_end();
    eprintln!("{points:?}: {before} rows, then {last:?}");
    let messages = RECORDS - retries;
    assert_eq!(before + last.archived as usize, messages, "{points:?}");
    assert_archived(&place, &records, retries);

    place.set("hop", "hop-groupname", "\"random\"");
    let again = place.run_to_end();
    let seen = (again.archived, again.duplicates as usize);
    assert_eq!(seen, (0, RECORDS), "{points:?}");
    assert_archived(&place, &records, retries);
}

/// As if nothing had run for an hour: claims whose worker is taken for dead.
fn make_claims_old(place: &Place) {
    place.execute(match place.is_on_postgres() {
        true => "UPDATE uuid_claims SET claimed_at = claimed_at - interval '1 hour'",
        false => "UPDATE uuid_claims SET claimed_at = claimed_at - 3600000",
    });
}

fn assert_archived(place: &Place, records: &[Record], retries: usize) {
    let archived = place.archived();
    assert_each_once(records, retries, &archived, &*place.catalogue());
    assert_no_orphan(&archived, &place.object_keys());
    // Counts, sizes, sums, digests.
    place.run(&["verify", "--deep"]).clean();
}
