//! What docs/operating.md says of the days on which something is lost, done.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::archive::text;
use crate::support::broker::plain_records_from;
use crate::support::{Broker, Place};

/// An archive of twenty records on real services.
struct Scene {
    place: Place,
    broker: Broker,
    topic: String,
}

impl Scene {
    fn new(name: &str) -> Option<Self> {
        let broker = Broker::connect()?;
        let place = Place::real(&broker)?;
        let topic = broker.create(name, 2);
        let scene = Self {
            place,
            broker,
            topic,
        };
        scene.send_and_archive(0..20);
        Some(scene)
    }

    fn send_and_archive(&self, numbers: std::ops::Range<usize>) {
        let count = numbers.len() as u64;
        let records = plain_records_from(&self.topic, 2, numbers);
        self.broker.send(&records);
        assert_eq!(self.place.run_to_end().archived, count);
    }

    /// The rows, without their serial numbers.
    fn rows(&self) -> Vec<Value> {
        let listed = self.place.run(&["list-archive", "--json"]).clean();
        let rows = listed.stdout.lines();
        let mut rows: Vec<Value> = rows
            .map(|row| serde_json::from_str(row).expect("JSON"))
            .collect();
        rows.sort_by_key(|row| text(&row["uuid"]));
        rows
    }

    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let hand = self.place.objects();
        let keys = self.place.object_keys().into_iter();
        keys.map(|key| (key.clone(), hand.read(&key))).collect()
    }

    fn verify(&self, options: &[&str]) -> Option<i32> {
        let all = ["verify", "--deep", "--against-kafka", "--in-flight", "0s"];
        self.place.run(&[&all[..], options].concat()).code
    }
}

#[test]
fn a_database_restored_from_an_older_backup_learns_what_was_archived_since() {
    let Some(scene) = Scene::new("restored") else {
        return;
    };
    // Everything that is in the tables now is what the backup has.
    let since = scene.rows().len();
    scene.send_and_archive(20..30);
    let expected = scene.rows();
    scene
        .place
        .execute(&format!("DELETE FROM messages WHERE id > {since}"));
    scene.place.execute("DELETE FROM uuid_claims");
    assert_eq!(scene.rows().len(), since);

    assert_eq!(scene.verify(&["--repair"]), Some(0));
    assert_eq!(scene.rows(), expected);
    assert_eq!(scene.verify(&[]), Some(0));
    assert_eq!(scene.place.run_to_end().archived, 0);
}

#[test]
fn a_database_that_is_lost_without_a_backup_is_written_anew_and_gone_on_with() {
    let Some(mut scene) = Scene::new("lost-database") else {
        return;
    };
    let (rows, objects) = (scene.rows(), scene.objects());
    scene.place.use_another_database();
    scene.place.run(&["rebuild-catalogue"]).clean();
    assert_eq!(scene.rows(), rows);
    assert_eq!(scene.verify(&[]), Some(0));
    scene.send_and_archive(20..25);
    assert_eq!(scene.rows().len(), 25);
    let now = scene.objects();
    assert!(
        objects
            .iter()
            .all(|(key, bytes)| now.get(key) == Some(bytes))
    );
}

#[test]
fn a_bucket_that_is_lost_comes_back_from_its_copy_and_what_that_lacks_from_kafka() {
    let Some(scene) = Scene::new("lost-bucket") else {
        return;
    };
    let hand = scene.place.objects();
    // The copy is of some time ago.
    let copy = hand.back_up(&scene.place.object_keys());
    scene.send_and_archive(20..30);
    let (rows, objects) = (scene.rows(), scene.objects());
    for key in objects.keys() {
        hand.delete(key);
    }
    assert_eq!(scene.verify(&[]), Some(1));
    assert_eq!(
        scene.verify(&["--repair", "--backup-bucket", &copy]),
        Some(0)
    );
    assert_eq!(scene.objects(), objects);
    assert_eq!(scene.rows(), rows);
    assert_eq!(scene.verify(&[]), Some(0));
}

#[test]
fn a_bucket_that_is_lost_without_a_copy_comes_back_as_far_as_kafka_remembers() {
    let Some(scene) = Scene::new("no-copy") else {
        return;
    };
    let (hand, objects) = (scene.place.objects(), scene.objects());
    for key in objects.keys() {
        hand.delete(key);
    }
    assert_eq!(scene.verify(&["--repair"]), Some(0));
    assert_eq!(scene.objects(), objects);
}

#[test]
fn a_groups_offsets_that_are_lost_cost_a_reading_and_nothing_else() {
    let Some(mut scene) = Scene::new("lost-offsets") else {
        return;
    };
    let (rows, objects) = (scene.rows(), scene.objects());
    // As good as the old one without its offsets.
    let group = format!("{:?}", crate::support::unique());
    scene.place.set("hop", "hop-groupname", &group);
    // Before its first commit everything is compared.
    assert_eq!(scene.verify(&[]), Some(0));
    let summary = scene.place.run_to_end();
    assert_eq!((summary.archived, summary.duplicates), (0, 20));
    assert_eq!((scene.rows(), scene.objects()), (rows, objects));
    assert_eq!(scene.verify(&[]), Some(0));
}
