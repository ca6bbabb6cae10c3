//! A topic that is deleted, created again and filled with equal records: the same
//! offsets, timestamps and contents.

use archive_ingest::catalogue::RowFilter;
use archive_ingest::record::{Record, TopicId};

use crate::support::broker::plain_records;
use crate::support::records::client_uuid;
use crate::support::{Broker, Place};

const CREATIONS: usize = 3;

struct Scene {
    broker: Broker,
    place: Place,
    topic: String,
    records: Vec<Record>,
}

impl Scene {
    /// An archive of a topic that was created several times with equal records.
    fn archived(name: &str, has_client_uuids: bool) -> Option<Self> {
        let broker = Broker::connect()?;
        let place = Place::real(&broker)?;
        let topic = broker.create(name, 1);
        let mut records = plain_records(&topic, 1, 5);
        if has_client_uuids {
            for (number, record) in records.iter_mut().enumerate() {
                record.headers = vec![client_uuid(number)];
            }
        }
        let scene = Self {
            broker,
            place,
            topic,
            records,
        };
        scene.broker.send(&scene.records);
        assert_eq!(scene.place.run_to_end().archived, 5);
        for creation in 1..CREATIONS {
            scene.create_again(name);
            let summary = scene.place.run_to_end();
            let is_new = !has_client_uuids;
            let expected = if is_new { (5, 0) } else { (0, 5) };
            let found = (summary.archived, summary.duplicates);
            assert_eq!(found, expected, "creation {creation}");
            assert_eq!(summary.lost.len(), 0, "creation {creation}");
        }
        Some(scene)
    }

    fn create_again(&self, name: &str) {
        self.broker.delete(&self.topic);
        assert_eq!(self.broker.create(name, 1), self.topic);
        self.broker.send(&self.records);
    }

    /// The topic ids of the rows at an offset, and how many rows there are.
    fn topic_ids(&self, offset: i64) -> Vec<Option<TopicId>> {
        let rows = self.place.catalogue();
        let rows = rows.rows(&RowFilter::default(), None, 1_000, false);
        let rows = rows.expect("rows").into_iter().map(|stored| stored.row);
        rows.filter(|row| row.origin.as_ref().expect("an origin").offset == offset)
            .map(|row| row.topic_id())
            .collect()
    }

    /// Everything is there, and neither doubled nor different.
    #[track_caller]
    fn assert_held(&self, rows_of_each: usize) {
        for offset in 0..5 {
            let mut ids = self.topic_ids(offset);
            assert_eq!(ids.len(), rows_of_each, "offset {offset}: {ids:?}");
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), rows_of_each, "offset {offset}: {ids:?}");
        }
        self.place
            .run(&["verify", "--deep", "--against-kafka"])
            .clean();
    }
}

#[test]
fn equal_records_of_a_recreated_topic_are_messages_of_their_own() {
    let Some(mut scene) = Scene::archived("equal", false) else {
        return;
    };
    scene.assert_held(CREATIONS);

    // Read again from the start: nothing is new.
    scene.place.set("hop", "hop-groupname", "\"random\"");
    let again = scene.place.run_to_end();
    assert_eq!((again.archived, again.duplicates), (0, 5));
    scene.assert_held(CREATIONS);

    // The same with a catalogue that is rebuilt from the objects.
    scene.place.use_another_database();
    scene.place.run(&["rebuild-catalogue"]).clean();
    let again = scene.place.run_to_end();
    assert_eq!((again.archived, again.duplicates), (0, 5));
    scene.assert_held(CREATIONS);
}

#[test]
fn equal_records_with_client_uuids_of_a_recreated_topic_are_retries() {
    let Some(scene) = Scene::archived("chosen", true) else {
        return;
    };
    scene.assert_held(1);
    let retries = scene.place.catalogue().retries(&scene.topic, 0, 0..5);
    let mut ids: Vec<_> = retries
        .expect("retries")
        .iter()
        .map(|retry| retry.topic_id)
        .collect();
    assert_eq!(ids.len(), 10);
    ids.extend(scene.topic_ids(0));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), CREATIONS);

    // The retries of an earlier topic are no proof of those of a later one.
    let last = scene
        .place
        .catalogue()
        .positions()
        .all_positions()
        .expect("positions");
    assert_eq!(last.len(), CREATIONS);
    scene
        .place
        .execute("DELETE FROM retries WHERE serial > (SELECT max(serial) - 5 FROM retries)");
    for options in [&["verify"][..], &["verify", "--against-kafka"]] {
        let verified = scene.place.run(options);
        assert_eq!(verified.code, Some(1), "{verified}");
    }
    let repair = ["verify", "--against-kafka", "--repair"];
    scene.place.run(&repair).clean();
    scene.assert_held(1);
    let retries = scene.place.catalogue().retries(&scene.topic, 0, 0..5);
    assert_eq!(retries.expect("retries").len(), 10);
}

/// Rows of an older version have no topic id: what is read again is none of a
/// recreated topic.
#[test]
fn records_whose_rows_have_no_topic_id_are_redeliveries() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(mut place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("older", 1);
    broker.send(&plain_records(&topic, 1, 5));
    assert_eq!(place.run_to_end().archived, 5);
    place.execute(
        "UPDATE messages SET topic_id = NULL; DELETE FROM read_intervals; DELETE FROM streams",
    );
    place.set("hop", "hop-groupname", "\"random\"");
    let again = place.run_to_end();
    assert_eq!(again.archived, 0);
    assert_eq!(place.object_keys().len(), 5);
}

/// A catalogue from an older dump lacks rows of the earlier topic, whose objects
/// are there.
#[test]
fn object_of_an_earlier_topic_gets_its_row_back_and_the_equal_record_its_own() {
    let Some(broker) = Broker::connect() else {
        return;
    };
    let Some(place) = Place::real(&broker) else {
        return;
    };
    let topic = broker.create("dump", 1);
    let records = plain_records(&topic, 1, 5);
    broker.send(&records);
    assert_eq!(place.run_to_end().archived, 5);
    place.execute("DELETE FROM messages; DELETE FROM read_intervals; DELETE FROM streams");
    let scene = Scene {
        broker,
        place,
        topic,
        records,
    };
    scene.create_again("dump");
    let summary = scene.place.run_to_end();
    assert_eq!(summary.lost.len(), 0);
    scene.assert_held(2);
}
