//! Damage of many kinds, done by hand to a copy of an archive: each is found,
//! mended where it can be, and not found again after that.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::archive::text;
use crate::support::program::Ended;
use crate::support::{ByHand, Place};

/// An archive under somebody's hands.
pub struct Scene {
    pub place: Place,
    pub objects: ByHand,
    pub backup: String,
    /// The rows as they must be, but for where the object lies.
    pub rows: Vec<Value>,
}

/// One kind of damage.
struct Damage {
    name: &'static str,
    /// Done to these two messages, of the same topic.
    done: fn(&Scene, &Value, &Value),
    /// The kinds of defects that `verify --deep` tells.
    found: &'static [&'static str],
}

impl Scene {
    pub fn new(place: Place) -> Self {
        place.write("veto.list", "sys.heartbeat");
        place.run_to_end();
        let objects = place.objects();
        let backup = objects.back_up(&place.object_keys());
        let mut scene = Self {
            place,
            objects,
            backup,
            rows: vec![],
        };
        scene.rows = scene.listed();
        assert_eq!(scene.rows.len(), 35);
        scene
    }

    pub fn listed(&self) -> Vec<Value> {
        let listed = self.place.run(&["list-archive", "--json"]).clean();
        let lines = listed.stdout.lines();
        let mut rows: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        rows.sort_by_key(|row| text(&row["uuid"]));
        rows
    }

    pub fn verify(&self, options: &[&str]) -> Ended {
        let all = [
            &["verify", "--deep", "--json", "--in-flight", "0s"],
            options,
        ]
        .concat();
        self.place.run(&all)
    }

    /// The kinds of defects that are told, which must agree with the exit code.
    pub fn kinds(&self) -> BTreeSet<String> {
        let ended = self.verify(&[]);
        let kinds: BTreeSet<String> = lines(&ended, "defect")
            .iter()
            .map(|defect| text(&defect["kind"]))
            .collect();
        let code = if kinds.is_empty() { 0 } else { 1 };
        assert_eq!(ended.code, Some(code), "{ended}");
        kinds
    }

    pub fn sql(&self, row: &Value, assignment: &str) {
        let uuid = text(&row["uuid"]);
        let sql = format!("UPDATE messages SET {assignment} WHERE uuid = '{uuid}'");
        self.place.execute(&sql);
    }

    fn change(&self, row: &Value, change: impl FnOnce(&mut Vec<u8>)) {
        let key = key(row);
        let mut bytes = self.objects.read(&key);
        change(&mut bytes);
        self.objects.write(&key, &bytes);
    }

    /// Bytes as the database writes them.
    pub fn blob(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.place.is_on_postgres() {
            true => format!("decode('{hex}', 'hex')"),
            false => format!("x'{hex}'"),
        }
    }

    fn digest(&self, row: &Value) -> Vec<u8> {
        let uuid = text(&row["uuid"]).parse().expect("a UUID");
        let stored = self.place.catalogue().fetch(&[uuid]).expect("a catalogue");
        let origin = stored[0].row.origin.clone().expect("an origin");
        origin.digest.0.to_vec()
    }

    /// The rows say what they must, though the object may lie elsewhere.
    #[track_caller]
    fn assert_rows_are_right(&self, after: &str) {
        let without_place = |rows: &[Value]| -> Vec<Value> {
            let mut rows = rows.to_vec();
            for row in &mut rows {
                row["key"].take();
            }
            rows
        };
        let (expected, found) = (without_place(&self.rows), without_place(&self.listed()));
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected, found, "{after}");
        }
        assert_eq!(expected.len(), found.len(), "{after}");
    }
}

pub fn key(row: &Value) -> String {
    text(&row["key"])
}

/// What stands in the lines of JSON under that name.
pub fn lines(ended: &Ended, name: &str) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .filter_map(|line| {
            serde_json::from_str::<Value>(line)
                .expect("JSON")
                .get(name)
                .cloned()
        })
        .collect()
}

/// Nothing of this is beyond mending while there is a backup.
const MENDABLE: &[Damage] = &[
    Damage {
        name: "a bit of the value flipped",
        done: |scene, row, _| {
            scene.change(row, |bytes| {
                // After the length, the name `message`, the length of the value.
                bytes[4 + 9 + 5] ^= 1;
            });
        },
        found: &["wrong_crc", "wrong_digest", "wrong_message_crc"],
    },
    Damage {
        name: "a bit of the annotations flipped",
        done: |scene, row, _| {
            scene.change(row, |bytes| {
                let name = b"con_is_client_uuid\0";
                let at = bytes.windows(name.len()).position(|w| w == name);
                bytes[at.expect("an annotation") + name.len()] ^= 1;
            });
        },
        found: &["disagrees", "wrong_crc"],
    },
    Damage {
        name: "the end cut off",
        done: |scene, row, _| scene.change(row, |bytes| bytes.truncate(bytes.len() / 2)),
        found: &["not_bson", "wrong_crc", "wrong_size"],
    },
    Damage {
        name: "something appended",
        done: |scene, row, _| scene.change(row, |bytes| bytes.extend(b"more")),
        found: &["not_bson", "wrong_crc", "wrong_size"],
    },
    Damage {
        name: "an empty object",
        done: |scene, row, _| scene.change(row, Vec::clear),
        found: &["not_bson", "wrong_crc", "wrong_size"],
    },
    Damage {
        name: "BSON that is no message",
        done: |scene, row, _| scene.objects.write(&key(row), &[5, 0, 0, 0, 0]),
        found: &["not_a_message", "wrong_crc", "wrong_size"],
    },
    Damage {
        name: "an object deleted",
        done: |scene, row, _| scene.objects.delete(&key(row)),
        found: &["missing_object"],
    },
    Damage {
        name: "two objects swapped",
        done: |scene, row, other| {
            let (one, two) = (
                scene.objects.read(&key(row)),
                scene.objects.read(&key(other)),
            );
            scene.objects.write(&key(row), &two);
            scene.objects.write(&key(other), &one);
        },
        found: &["disagrees", "wrong_crc", "wrong_digest"],
    },
    Damage {
        name: "another message's object in its place",
        done: |scene, row, other| {
            let bytes = scene.objects.read(&key(other));
            scene.objects.write(&key(row), &bytes);
        },
        found: &["disagrees", "wrong_crc", "wrong_digest"],
    },
    Damage {
        name: "an object of another topic in its place",
        done: |scene, row, _| {
            let is_other = |other: &&Value| other["topic"] != row["topic"];
            let other = scene.rows.iter().find(is_other).expect("another topic");
            let bytes = scene.objects.read(&key(&scene.now(other)));
            scene.objects.write(&key(row), &bytes);
        },
        found: &["disagrees", "wrong_crc", "wrong_digest"],
    },
    Damage {
        name: "an object moved to a key beside",
        done: |scene, row, _| {
            let bytes = scene.objects.read(&key(row));
            scene.objects.delete(&key(row));
            scene.objects.write(&beside(row, 3), &bytes);
        },
        found: &["missing_object", "orphan_object"],
    },
    Damage {
        name: "a copy beside an object",
        done: |scene, row, _| {
            let bytes = scene.objects.read(&key(row));
            scene.objects.write(&beside(row, 77), &bytes);
        },
        found: &["orphan_object"],
    },
    Damage {
        name: "half a copy beside an object",
        done: |scene, row, _| {
            let bytes = scene.objects.read(&key(row));
            scene.objects.write(&beside(row, 78), &bytes[..9]);
        },
        found: &["orphan_object"],
    },
    Damage {
        name: "an object changed, and its sum in the row too",
        done: |scene, row, _| {
            scene.change(row, |bytes| bytes[4 + 9 + 5] ^= 1);
            let crc = crc32fast::hash(&scene.objects.read(&key(row)));
            scene.sql(row, &format!("crc32 = {crc}"));
        },
        found: &["wrong_digest", "wrong_message_crc"],
    },
    Damage {
        name: "a row deleted",
        done: |scene, row, _| {
            let uuid = text(&row["uuid"]);
            scene
                .place
                .execute(&format!("DELETE FROM messages WHERE uuid = '{uuid}'"));
        },
        found: &["orphan_object", "unaccounted"],
    },
    Damage {
        name: "all rows of a topic deleted",
        done: |scene, row, _| {
            let topic = text(&row["topic"]);
            scene
                .place
                .execute(&format!("DELETE FROM messages WHERE topic = '{topic}'"));
        },
        found: &["orphan_object", "unaccounted"],
    },
    Damage {
        name: "topic altered",
        done: |scene, row, _| scene.sql(row, "topic = 'another'"),
        found: &["disagrees", "unaccounted"],
    },
    Damage {
        name: "timestamp altered",
        done: |scene, row, _| scene.sql(row, "timestamp = timestamp + 1"),
        found: &["disagrees"],
    },
    Damage {
        name: "uuid altered",
        done: |scene, row, _| {
            scene.sql(row, "uuid = '00000000-0000-4000-8000-000000000001'");
        },
        found: &["disagrees", "orphan_object"],
    },
    Damage {
        name: "size altered",
        done: |scene, row, _| scene.sql(row, "size = size + 1"),
        found: &["wrong_size"],
    },
    Damage {
        name: "key altered",
        done: |scene, row, _| scene.sql(row, "key = 'another/key.bson'"),
        found: &["missing_object", "orphan_object"],
    },
    Damage {
        name: "key of another message",
        done: |scene, row, other| scene.sql(row, &format!("key = '{}'", key(other))),
        found: &["disagrees", "orphan_object", "wrong_crc", "wrong_digest"],
    },
    Damage {
        name: "bucket altered",
        done: |scene, row, _| scene.sql(row, "bucket = 'another'"),
        found: &["orphan_object", "unreadable_object"],
    },
    Damage {
        name: "crc32 altered",
        done: |scene, row, _| scene.sql(row, "crc32 = 7"),
        found: &["wrong_crc"],
    },
    Damage {
        name: "is_client_uuid altered",
        done: |scene, row, _| scene.sql(row, "is_client_uuid = NOT is_client_uuid"),
        found: &["disagrees"],
    },
    Damage {
        name: "public altered",
        done: |scene, row, _| scene.sql(row, "public = NOT public"),
        found: &["disagrees"],
    },
    Damage {
        name: "direct_upload altered",
        done: |scene, row, _| scene.sql(row, "direct_upload = NOT direct_upload"),
        found: &["disagrees"],
    },
    Damage {
        name: "message_crc32 altered",
        done: |scene, row, _| scene.sql(row, "message_crc32 = 7"),
        found: &["wrong_message_crc"],
    },
    Damage {
        name: "title, sender, media_type, file_name and originator altered",
        done: |scene, row, _| {
            for column in ["title", "sender", "media_type", "file_name", "originator"] {
                scene.sql(row, &format!("{column} = 'another'"));
            }
        },
        found: &["disagrees"],
    },
    Damage {
        name: "kafka_partition altered",
        done: |scene, row, _| scene.sql(row, "kafka_partition = 7"),
        found: &["disagrees", "unaccounted"],
    },
    Damage {
        name: "kafka_offset altered",
        done: |scene, row, _| scene.sql(row, "kafka_offset = 77"),
        found: &["disagrees", "unaccounted"],
    },
    Damage {
        name: "timestamp_type altered",
        done: |scene, row, _| scene.sql(row, "timestamp_type = 'log_append'"),
        found: &["disagrees"],
    },
    Damage {
        name: "where it was on the stream forgotten",
        done: |scene, row, _| {
            let nothing = "kafka_partition = NULL, kafka_offset = NULL, timestamp_type = NULL, \
                           content_digest = NULL";
            scene.sql(row, nothing);
        },
        found: &["disagrees", "unaccounted"],
    },
    Damage {
        name: "object_offset altered",
        done: |scene, row, _| scene.sql(row, "object_offset = 5"),
        found: &["unreadable_object"],
    },
    Damage {
        name: "a count wrong",
        done: |scene, row, _| {
            let topic = text(&row["topic"]);
            let wrong = "UPDATE topics SET n_messages = n_messages + 1";
            scene
                .place
                .execute(&format!("{wrong} WHERE topic = '{topic}'"));
        },
        found: &["wrong_count"],
    },
    Damage {
        name: "times wrong",
        done: |scene, row, _| {
            let topic = text(&row["topic"]);
            let wrong = "UPDATE topics SET e_timestamp = 5, l_timestamp = 6";
            scene
                .place
                .execute(&format!("{wrong} WHERE topic = '{topic}'"));
        },
        found: &["wrong_times"],
    },
    Damage {
        name: "a topic not counted",
        done: |scene, row, _| {
            let topic = text(&row["topic"]);
            scene
                .place
                .execute(&format!("DELETE FROM topics WHERE topic = '{topic}'"));
        },
        found: &["wrong_count"],
    },
];

/// The key beside a message's own of that number.
pub fn beside(row: &Value, number: u32) -> String {
    let key = key(row);
    let (folder, _) = key.rsplit_once('/').expect("a folder");
    format!("{folder}/{}-{number}.bson", text(&row["uuid"]))
}

impl Scene {
    /// A row as it is now.
    pub fn now(&self, row: &Value) -> Value {
        let is_it = |now: &Value| now["uuid"] == row["uuid"];
        self.listed().into_iter().find(is_it).expect("its row")
    }

    /// Two messages of one topic with values to be changed, others for each
    /// damage.
    pub fn victims(&self, number: usize) -> (Value, Value) {
        let is_one = |row: &&Value| row["topic"] == "known.headers" && row["message_crc32"] != 0;
        let rows: Vec<&Value> = self.rows.iter().filter(is_one).collect();
        let at = |number: usize| self.now(rows[number % rows.len()]);
        (at(number), at(number + 1))
    }

    fn suffers(&self, number: usize, damage: &Damage) {
        let name = damage.name;
        let (row, other) = self.victims(number);
        (damage.done)(self, &row, &other);
        let expected: BTreeSet<String> = damage.found.iter().map(|&kind| kind.into()).collect();
        let found = self.kinds();
        let without_values: BTreeSet<String> = found
            .iter()
            .filter(|kind| *kind != "wrong_message_crc" || expected.contains(*kind))
            .filter(|kind| *kind != "wrong_size" || expected.contains(*kind))
            .cloned()
            .collect();
        assert_eq!(without_values, expected, "{name}");

        let mut with_backup = vec!["--repair", "--backup-bucket", &self.backup];
        // Without the row and without Kafka nothing but the object is left.
        if name.ends_with("deleted") && damage.found == ["orphan_object", "unaccounted"] {
            with_backup.push("--adopt-orphans");
        }
        let dry = self.verify(&[&with_backup[..], &["--dry-run"]].concat());
        assert_eq!(dry.code, Some(1), "{name}: {dry}");
        assert_eq!(
            self.kinds(),
            found,
            "{name}: a dry run has changed something"
        );

        let repair = self.verify(&with_backup);
        assert_eq!(repair.code, Some(0), "{name}: {repair}");
        assert!(!lines(&repair, "repair").is_empty(), "{name}");
        assert_eq!(self.kinds(), BTreeSet::new(), "{name}");
        self.assert_rows_are_right(name);
    }
}

#[test]
fn every_damage_is_in_the_table_of_the_manual() {
    let manual = include_str!("../../docs/failures.md");
    assert!(MENDABLE.len() >= 20);
    for damage in MENDABLE {
        let kinds: Vec<String> = damage
            .found
            .iter()
            .map(|kind| format!("`{kind}`"))
            .collect();
        let line = format!("| {} | {} |", damage.name, kinds.join(", "));
        assert!(manual.contains(&line), "{line}");
    }
}

fn every_mendable_damage_is_found_mended_and_gone(place: Place) {
    let scene = Scene::new(place);
    for (number, damage) in MENDABLE.iter().enumerate() {
        scene.suffers(number, damage);
    }
}

#[test]
fn every_damage_is_found_mended_and_gone_on_sqlite_and_a_directory() {
    every_mendable_damage_is_found_mended_and_gone(Place::embedded());
}

#[test]
fn every_damage_is_found_mended_and_gone_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        every_mendable_damage_is_found_mended_and_gone(place);
    }
}

/// Found, not mended, told why; and nothing is touched.
fn what_cannot_be_mended_is_told_and_left_alone(place: Place) {
    let scene = Scene::new(place);
    let before = scene.place.object_keys();
    let (row, other) = scene.victims(0);

    let foreign = "known.headers/notes.txt";
    scene.objects.write(foreign, b"mine");
    assert_left(&scene, &["foreign_object"], "move it");
    assert_eq!(scene.objects.read(foreign), b"mine");
    scene.objects.delete(foreign);
    assert_eq!(scene.kinds(), BTreeSet::new());

    // Without a backup and without Kafka there is nothing to mend it from.
    let bytes = scene.objects.read(&key(&row));
    scene.objects.delete(&key(&row));
    assert_left(&scene, &["missing_object"], "no backup bucket is named");
    scene.objects.write(&key(&row), &bytes);
    assert_eq!(scene.kinds(), BTreeSet::new());

    let stray = format!("known.headers/2023/1/1/{}.bson", uuid::Uuid::from_u128(7));
    scene.objects.write(&stray, b"no message");
    assert_left(&scene, &["orphan_object"], "damaged");
    scene.objects.delete(&stray);

    // The row's digest outranks the object, which cannot prove the row wrong.
    let digest = scene.digest(&row);
    scene.sql(&row, &format!("content_digest = {}", scene.blob(&[0; 32])));
    assert_left(&scene, &["wrong_digest"], "no backup bucket is named");
    scene.sql(&row, &format!("content_digest = {}", scene.blob(&digest)));
    assert_eq!(scene.kinds(), BTreeSet::new());

    scene.sql(&other, "retracted = true");
    assert_eq!(scene.kinds(), BTreeSet::new());
    assert_eq!(scene.place.object_keys(), before);
}

#[track_caller]
fn assert_left(scene: &Scene, kinds: &[&str], why: &str) {
    let repair = scene.verify(&["--repair"]);
    assert_eq!(repair.code, Some(1), "{repair}");
    let repairs = lines(&repair, "repair");
    assert_eq!(repairs.len(), 1, "{repair}");
    assert_eq!(repairs[0]["mended"], false);
    assert!(text(&repairs[0]["how"]).contains(why), "{repair}");
    let kinds: BTreeSet<String> = kinds.iter().map(|&kind| kind.into()).collect();
    assert_eq!(scene.kinds(), kinds);
}

#[test]
fn what_cannot_be_mended_is_left_alone_on_sqlite_and_a_directory() {
    what_cannot_be_mended_is_told_and_left_alone(Place::embedded());
}

#[test]
fn what_cannot_be_mended_is_left_alone_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        what_cannot_be_mended_is_told_and_left_alone(place);
    }
}

#[test]
fn an_object_of_a_running_archiver_is_neither_told_nor_touched() {
    let scene = Scene::new(Place::embedded());
    let (row, _) = scene.victims(0);
    let uuid = text(&row["uuid"]);
    scene
        .place
        .execute(&format!("DELETE FROM messages WHERE uuid = '{uuid}'"));
    // As before the transaction of its row.
    scene
        .place
        .execute("DELETE FROM read_intervals; DELETE FROM streams");
    let repair = scene.place.run(&["verify", "--deep", "--json", "--repair"]);
    assert_eq!(repair.code, Some(0), "{repair}");
    assert_eq!(lines(&repair, "summary")[0]["objects_in_flight"], 1);
    assert_eq!(scene.listed().len(), 34);
}
