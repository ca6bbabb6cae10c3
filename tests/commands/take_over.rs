//! An archive that archive-core wrote, taken over: read, verified, gone on
//! with, mended and rebuilt, without rewriting anything.

use std::collections::BTreeMap;
use std::path::Path;

use archive_ingest::record::Record;
use serde_json::{Value, json};

use crate::archive::text;
use crate::damage::lines;
use crate::support::broker::plain_records;
use crate::support::python::Python;
use crate::support::records::client_uuid;
use crate::support::{Broker, Place, Process};

/// The tables as archive-core's newest version makes them, with its indexes, its
/// trigger a row, its text search and its list of DOIs.
const TABLES: &str = "
    CREATE TABLE messages (
        id bigserial PRIMARY KEY, topic text NOT NULL, timestamp bigint NOT NULL,
        uuid uuid NOT NULL, size integer NOT NULL, key text NOT NULL, bucket text NOT NULL,
        crc32 bigint NOT NULL, is_client_uuid boolean NOT NULL, public boolean NOT NULL,
        direct_upload boolean NOT NULL, message_crc32 bigint NOT NULL,
        title text NOT NULL DEFAULT '', sender text NOT NULL DEFAULT '',
        media_type text NOT NULL DEFAULT '', file_name text NOT NULL DEFAULT '',
        originator text NOT NULL DEFAULT '', retracted boolean NOT NULL DEFAULT false,
        CONSTRAINT messages_uuid_idx UNIQUE (uuid)
    );
    CREATE TABLE topics (topic text CONSTRAINT unique_topic UNIQUE, e_timestamp bigint,
        l_timestamp bigint, n_messages bigint);
    CREATE INDEX messages_key_idx ON messages (key);
    CREATE INDEX messages_timestamp_id_idx ON messages (timestamp, id) INCLUDE (topic, public);
    CREATE INDEX messages_topic_idx ON messages (topic);
    CREATE TABLE message_ts (
        uuid uuid REFERENCES messages (uuid) ON DELETE CASCADE NOT NULL,
        text_data tsvector NOT NULL, text_fully_indexed boolean NOT NULL
    );
    CREATE TABLE dois (id bigserial PRIMARY KEY, doi text NOT NULL UNIQUE);
    CREATE TABLE doi_messages (
        doi_id bigint NOT NULL REFERENCES dois (id) ON DELETE CASCADE,
        message_uuid uuid NOT NULL, PRIMARY KEY (doi_id, message_uuid)
    );
    CREATE FUNCTION update_topics() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            UPDATE topics SET n_messages = n_messages - 1 WHERE topic = OLD.topic;
            RETURN NEW;
        END IF;
        INSERT INTO topics VALUES (NEW.topic, NEW.timestamp, NEW.timestamp, 1)
        ON CONFLICT (topic) DO UPDATE SET n_messages = topics.n_messages + 1,
            e_timestamp = LEAST(topics.e_timestamp, NEW.timestamp),
            l_timestamp = GREATEST(topics.l_timestamp, NEW.timestamp);
        RETURN NEW;
    END
    $$;
    CREATE TRIGGER trigger_update_topics AFTER INSERT OR DELETE ON messages
        FOR EACH ROW EXECUTE FUNCTION update_topics();
";

const OLD: usize = 12;

/// A topic whose first records archive-core has archived.
struct Scene {
    place: Place,
    records: Vec<Record>,
    /// Removes the topic at its end.
    _broker: Broker,
    /// The objects of archive-core, by their keys.
    objects: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    fn new() -> Option<Self> {
        let python = Python::of("TEST_PY_BSON")?;
        let broker = Broker::connect()?;
        let mut place = Place::real(&broker)?;
        let topic = broker.create("old", 2);
        let mut records = plain_records(&topic, 2, 30);
        for number in [2, 3, 20] {
            records[number].headers = vec![client_uuid(number)];
        }
        // Two messages that differ in nothing but their place.
        records[5] = Record {
            partition: records[5].partition,
            offset: records[5].offset,
            ..records[4].clone()
        };
        place.set("hop", "hop-public-topics", &format!("[{topic:?}]"));
        let objects = write_as_archive_core(&place, &python, &records[..OLD]);
        broker.send(&records);
        Some(Self {
            place,
            records,
            _broker: broker,
            objects,
        })
    }

    fn listed(&self) -> Vec<Value> {
        let listed = self.place.run(&["list-archive", "--json"]).clean();
        let lines = listed.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// archive-core's objects are what they were.
    fn assert_objects_are_untouched(&self) {
        let hand = self.place.objects();
        for (key, bytes) in &self.objects {
            assert_eq!(&hand.read(key), bytes, "{key}");
        }
    }
}

fn write_as_archive_core(
    place: &Place,
    python: &Python,
    records: &[Record],
) -> BTreeMap<String, Vec<u8>> {
    let hex = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(hex::encode);
    let records: Vec<Value> = records
        .iter()
        .map(|record| {
            let headers = record.headers.iter();
            let headers: Vec<Value> = headers
                .map(|header| json!([hex::encode(&header.name), hex(&header.value)]))
                .collect();
            json!({ "topic": *record.topic, "timestamp": record.timestamp, "headers": headers,
                "key": hex(&record.key), "value": hex(&record.value) })
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let hand = place.objects();
    let input = place.write("records.json", &Value::from(records).to_string());
    let path = folder.path().to_str().unwrap();
    let sql = python.run_on("write_archive_core.py", &[path, hand.primary()], &input);
    place.execute(TABLES);
    place.execute(&sql);
    let mut objects = BTreeMap::new();
    collect(folder.path(), folder.path(), &mut objects);
    for (key, bytes) in &objects {
        hand.write(key, bytes);
    }
    objects
}

fn collect(root: &Path, folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, into);
        } else {
            let key = path.strip_prefix(root).unwrap().to_str().unwrap();
            into.insert(key.to_owned(), std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn an_archive_of_archive_core_is_verified_and_gone_on_with_and_nothing_is_rewritten() {
    let Some(scene) = Scene::new() else { return };
    let place = &scene.place;
    let summary = place.run_to_end();
    assert_eq!(summary.archived as usize, scene.records.len() - OLD);
    assert_eq!(summary.duplicates as usize, OLD);
    scene.assert_objects_are_untouched();
    place
        .run(&["verify", "--deep", "--against-kafka", "--in-flight", "0s"])
        .clean();

    // Every record has its row, those of archive-core too, with its place.
    let mut places: Vec<_> = scene
        .listed()
        .iter()
        .map(|row| (row["partition"].as_i64(), row["offset"].as_i64()))
        .collect();
    places.sort();
    let mut expected: Vec<_> = scene
        .records
        .iter()
        .map(|record| (Some(record.partition.into()), Some(record.offset)))
        .collect();
    expected.sort();
    assert_eq!(places, expected);

    // Each is read by its UUID.
    let old = scene.listed().into_iter().find(|row| row["offset"] == 1);
    let uuid = text(&old.unwrap()["uuid"]);
    let read = place.run(&["fetch-uuid", "--payload", &uuid]).clean();
    let sent = scene.records.iter().find(|record| record.offset == 1);
    assert_eq!(Some(read.stdout.into_bytes()), sent.unwrap().value);
}

/// What curl writes into a file.
fn curl(place: &Place, url: &str) -> Vec<u8> {
    let line = format!("curl --silent --show-error --fail --output answer '{url}'");
    Process::start(place.shell(&line)).ended().clean();
    std::fs::read(place.path("answer")).unwrap()
}

#[test]
fn what_archive_core_wrote_is_answered_by_both_generations_of_the_api() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.place.run_to_end();
    scene.place.set("listen", "api-listen", "\"127.0.0.1:0\"");
    let serving = scene.place.start(&["serve"]);
    let told = serving.line_with("archive API on http://");
    let (_, address) = told.split_once("http://").expect("a URL");
    let ask = |path: &str| curl(&scene.place, &format!("http://{}{path}", address.trim()));
    let json = |path: &str| -> Value { serde_json::from_slice(&ask(path)).unwrap() };
    for row in scene.listed() {
        let (uuid, key) = (text(&row["uuid"]), text(&row["key"]));
        let Some(object) = scene.objects.get(&key) else {
            continue;
        };
        assert_eq!(&ask(&format!("/msg/{uuid}")), object);
        let is_it = |record: &&Record| {
            json!(record.offset) == row["offset"] && json!(record.partition) == row["partition"]
        };
        let sent = scene.records.iter().find(is_it).unwrap();
        let value = ask(&format!("/msg/{uuid}/raw_file/value"));
        assert_eq!(Some(value), sent.value);
        let shown = json(&format!("/api/message/{uuid}"));
        assert_eq!(shown["details"]["metadata"]["topic"], row["topic"]);
    }
    let topic = text(&scene.listed()[0]["topic"]);
    let listed = json(&format!("/api/topic/{topic}"));
    let listed = listed["messages"].as_array().unwrap().len();
    assert_eq!(listed, scene.records.len());
    serving.signal("TERM");
    serving.ended().clean();
}

#[test]
fn damage_to_what_archive_core_wrote_is_found_and_mended() {
    let Some(scene) = Scene::new() else { return };
    let place = &scene.place;
    place.run_to_end();
    let hand = place.objects();
    let backup = hand.back_up(&place.object_keys());
    let mut keys = scene.objects.keys();
    let (gone, flipped, rowless) = (
        keys.next().unwrap(),
        keys.next().unwrap(),
        keys.next().unwrap(),
    );
    hand.delete(gone);
    let mut bytes = scene.objects[flipped].clone();
    bytes[40] ^= 1;
    hand.write(flipped, &bytes);
    place.execute(&format!("DELETE FROM messages WHERE key = '{rowless}'"));
    let altered = keys.next().unwrap();
    place.execute(&format!(
        "UPDATE messages SET topic = 'another' WHERE key = '{altered}'"
    ));

    let verify = ["verify", "--deep", "--in-flight", "0s"];
    let found = place.run(&verify);
    assert_eq!(found.code, Some(1), "{found}");
    // Nothing confirms an object of archive-core without a row.
    let repair = ["--repair", "--adopt-orphans", "--backup-bucket", &backup];
    // No object of archive-core says at which offset its message was, so the
    // catalogue cannot tell that the offset of the adopted one is archived. The
    // archiver can, which meets the record again.
    let repaired = place.run(&[&verify[..], &repair, &["--json"]].concat());
    assert_eq!(repaired.code, Some(1), "{repaired}");
    let left: Vec<Value> = lines(&repaired, "defect")
        .into_iter()
        .filter(|defect| defect["kind"] == "unaccounted")
        .collect();
    assert_eq!(left.len(), 1, "{repaired}");
    assert_eq!(lines(&repaired, "summary")[0]["left"], 1);
    assert_eq!(scene.listed().len(), scene.records.len());
    assert_eq!(hand.read(gone), scene.objects[gone]);
    assert_eq!(hand.read(flipped), bytes, "nothing is replaced");
}

#[test]
fn the_catalogue_of_a_mixed_archive_is_rebuilt_but_for_what_no_object_knows() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.place.run_to_end();
    let before = scene.listed();
    scene.place.use_another_database();
    scene.place.run(&["rebuild-catalogue"]).clean();
    let forget = |rows: Vec<Value>| -> Vec<Value> {
        let mut rows = rows;
        for row in &mut rows {
            if !scene.objects.contains_key(row["key"].as_str().unwrap()) {
                continue;
            }
            let of_stream = ["partition", "offset", "timestamp_type", "content_digest"];
            // The newest documents say these.
            let described: &[&str] = match row["media_type"] == "" {
                true => &["title", "public"],
                false => &[],
            };
            for unknown in of_stream.iter().chain(described) {
                row[unknown].take();
            }
        }
        rows.sort_by_key(|row| text(&row["uuid"]));
        rows
    };
    assert_eq!(forget(scene.listed()), forget(before));
    // The archiver finds again where each was.
    let group = format!("{:?}", crate::support::unique());
    scene.place.set("hop", "hop-groupname", &group);
    assert_eq!(scene.place.run_to_end().archived, 0);
    scene
        .place
        .run(&["verify", "--deep", "--against-kafka", "--in-flight", "0s"])
        .clean();
}
