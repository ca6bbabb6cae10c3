//! Key ranges: what `verify` and `rebuild-catalogue` divide, continue and read on
//! stores that list in any order.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use archive_ingest::catalogue::{Catalogue, RowFilter, Verification};
use archive_ingest::envelope;
use archive_ingest::record::Record;
use archive_ingest::store::{Location, ObjectInfo, Page, Put, Store, StoreError};
use archive_ingest::verify::{Checked, Finding, Progress, Rebuild, Rebuilt, Verifier};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::archive::Archive;
use crate::rebuild_catalogue::{rows, summary};
use crate::store_around::{Around, Call, StoreAround};
use crate::support::Place;
use crate::support::broker::plain_records;

/// A store that lists in the opposite order of its names, as pages of three.
struct Unordered(Box<dyn Store>);

fn three(mut names: Vec<(String, Option<ObjectInfo>)>, page: Option<&str>) -> Page {
    names.sort_by(|a, b| b.0.cmp(&a.0));
    let begin: usize = page.map_or(0, |page| page.parse().unwrap());
    let mut shown = Page {
        next: Some(begin + 3)
            .filter(|next| *next < names.len())
            .map(|next| next.to_string()),
        ..Page::default()
    };
    for (name, object) in names.into_iter().skip(begin).take(3) {
        match object {
            Some(object) => shown.objects.push(object),
            None => shown.folders.push(name),
        }
    }
    shown
}

#[async_trait]
impl Store for Unordered {
    fn bucket(&self) -> &str {
        self.0.bucket()
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.0.check().await
    }

    async fn put_new(&self, key: &str, body: Vec<u8>) -> Result<Put, StoreError> {
        self.0.put_new(key, body).await
    }

    async fn get(&self, at: &Location) -> Result<Vec<u8>, StoreError> {
        self.0.get(at).await
    }

    async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        self.0.head(bucket, key).await
    }

    async fn list(&self, prefix: &str, page: Option<&str>) -> Result<Page, StoreError> {
        let all = self.0.list(prefix, None).await?;
        assert_eq!(all.next, None, "the test has fewer than 1,000 objects");
        let named = all.objects.into_iter().map(|o| (o.key.clone(), Some(o)));
        Ok(three(named.collect(), page))
    }

    async fn list_folder(&self, folder: &str, page: Option<&str>) -> Result<Page, StoreError> {
        let all = self.0.list_folder(folder, None).await?;
        let objects = all.objects.into_iter().map(|o| (o.key.clone(), Some(o)));
        let folders = all.folders.into_iter().map(|folder| (folder, None));
        Ok(three(objects.chain(folders).collect(), page))
    }
}

fn run(verifier: &Verifier) -> (Checked, Vec<&'static str>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (checked, findings) = runtime.block_on(async {
        let (tell, told) = mpsc::channel(1_000);
        (verifier.run(tell).await.unwrap(), all(told).await)
    });
    let mut kinds: Vec<_> = findings
        .iter()
        .flat_map(|finding| &finding.defects)
        .map(|defect| defect.kind.name())
        .collect();
    kinds.sort_unstable();
    (checked, kinds)
}

async fn all(mut told: mpsc::Receiver<Finding>) -> Vec<Finding> {
    let mut findings = vec![];
    while let Some(finding) = told.recv().await {
        findings.push(finding);
    }
    findings
}

fn store_that_lists_out_of_order_is_verified_and_rebuilt(mut place: Place) {
    place.write("veto.list", "sys.heartbeat");
    place.run_to_end();
    let before = rows(&place);
    let mut moved = before
        .iter()
        .filter(|row| row["topic"] == "known.headers")
        .map(|row| row["key"].as_str().unwrap().to_owned());
    let (missing, damaged) = (moved.next().unwrap(), moved.next().unwrap());
    let objects = place.objects();
    objects.write("README", b"mine");
    objects.write("known.headers/notes/2026/x.txt", b"mine");
    // The copy of a damaged object comes before or after it in a listing.
    let whole = objects.read(&damaged);
    objects.write(&damaged.replace(".bson", "-2.bson"), &whole);
    let bytes = objects.read(&missing);
    objects.delete(&missing);
    objects.delete(&damaged);
    objects.write(&damaged, &whole[..20]);

    let store: Arc<dyn Store> = Arc::new(Unordered(place.store()));
    let catalogue: Arc<dyn Catalogue> = Arc::from(place.catalogue());
    let verifier = Verifier {
        in_flight_ms: 0,
        ..Verifier::new(catalogue.clone(), store.clone())
    };
    let (checked, kinds) = run(&verifier);
    assert_eq!(checked.messages, 35);
    assert_eq!(checked.backwards.unwrap().objects, 37);
    let expected = [
        "foreign_object",
        "foreign_object",
        "missing_object",
        "orphan_object",
        "wrong_size",
    ];
    assert_eq!(kinds, expected);

    objects.write(&missing, &bytes);
    place.use_another_database();
    let rebuilt_into: Arc<dyn Catalogue> = Arc::from(place.catalogue());
    rebuilt_into.migrate().unwrap();
    let rebuild = rebuild_of(rebuilt_into.clone(), store);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rebuilt: Rebuilt = runtime.block_on(async {
        let (tell, _told) = mpsc::channel(1_000);
        rebuild.run(tell).await.unwrap()
    });
    assert_eq!((rebuilt.objects, rebuilt.added), (38, 35));
    assert_eq!((rebuilt.set_aside, rebuilt.defects), (1, 2));
    let uuids =
        |rows: &[Value]| -> Vec<Value> { rows.iter().map(|row| row["uuid"].clone()).collect() };
    assert_eq!(uuids(&rows(&place)), uuids(&before));
}

fn rebuild_of(catalogue: Arc<dyn Catalogue>, store: Arc<dyn Store>) -> Rebuild {
    Rebuild {
        catalogue,
        store,
        shard: None,
        from_start: false,
        progress: Arc::new(Progress::default()),
        keys: None,
        is_public: Arc::new(|_| false),
    }
}

#[test]
fn store_that_lists_out_of_order_is_verified_and_rebuilt_on_sqlite_and_a_directory() {
    store_that_lists_out_of_order_is_verified_and_rebuilt(Place::embedded());
}

#[test]
fn store_that_lists_out_of_order_is_verified_and_rebuilt_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        store_that_lists_out_of_order_is_verified_and_rebuilt(place);
    }
}

/// The keys that were listed.
#[derive(Default)]
struct Listed(Mutex<Vec<String>>);

#[async_trait]
impl Around for Listed {
    async fn before(&self, _: &dyn Store, _: Call<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn listed(&self, page: &Page) {
        let keys = page.objects.iter().map(|object| object.key.clone());
        self.0.lock().unwrap().extend(keys);
    }
}

#[test]
fn part_of_an_archive_lists_its_own_ranges_only() {
    let place = Place::embedded();
    store_objects(&place, 300);
    let catalogue: Arc<dyn Catalogue> = Arc::from(place.catalogue());
    catalogue.migrate().unwrap();
    let (mut listed, mut objects) = (vec![], 0);
    for part in ["1/3", "2/3", "3/3"] {
        let store = Arc::new(StoreAround {
            store: place.store(),
            around: Listed::default(),
        });
        let verifier = Verifier {
            subset: Some(part.parse().unwrap()),
            ..Verifier::new(catalogue.clone(), store.clone())
        };
        let (checked, _) = run(&verifier);
        objects += checked.backwards.unwrap().objects;
        let keys = std::mem::take(&mut *store.around.0.lock().unwrap());
        assert!((30..200).contains(&keys.len()), "{}", keys.len());
        listed.extend(keys);
    }
    listed.sort();
    assert_eq!(listed, place.object_keys());
    assert_eq!(objects, 300);
}

#[test]
fn checkpoint_of_another_version_begins_again() {
    let archive = Archive::known();
    let catalogue = archive_ingest::catalogue::open(&archive.config().database().unwrap()).unwrap();
    let counts = r#""in_flight":0,"topics":0,"records":0,"mended":0"#;
    let unfinished = Verification {
        asked: String::new(),
        place: Some(format!(
            r#"{{"phase":"objects","after":"known.values/2023/11/14/zzz",{counts}}}"#
        )),
        messages: 35,
        ..Verification::default()
    };
    catalogue.upkeep().save_verification(&unfinished).unwrap();
    let ran = archive.run(&["verify", "--resume", "--json"]).clean();
    let summary = ran.json_lines().pop().unwrap()["summary"].clone();
    assert_eq!(summary["resumed_from"], Value::Null);
    assert_eq!(summary["messages"], 35);
    assert_eq!(summary["objects"], 35);
    ran.says(&["another version"]);
}

/// Objects of three topics on many days, as an archiver stores them.
fn store_objects(place: &Place, count: usize) {
    const DAY: i64 = 86_400_000;
    let topics = ["a", "a-b", "c"];
    let records = plain_records("t", 1, count).into_iter().enumerate();
    let records = records.map(|(number, record)| Record {
        topic: topics[number % 3].into(),
        timestamp: record.timestamp + (number as i64 % 40) * DAY,
        ..record
    });
    let store = place.store();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stored = stream::iter(records)
        .map(Ok::<_, StoreError>)
        .try_for_each_concurrent(64, |record| {
            let delivery = envelope::delivery(&record);
            let uuid = envelope::derived_uuid(&delivery, 0);
            let notes = envelope::annotate(&record, delivery.digest, uuid, false);
            let bytes = envelope::encode(&record, &notes);
            let key = envelope::object_key(&record.topic, record.timestamp, uuid);
            let store = &store;
            async move { store.put_new(&key, bytes).await.map(drop) }
        });
    runtime.block_on(stored).unwrap();
}

/// A summary without what differs between two runs.
fn comparable(mut summary: Value) -> Value {
    let rows = |name: &str| summary[name].as_u64().unwrap();
    summary["rows"] = (rows("rows_added") + rows("rows_known")).into();
    for name in ["seconds", "continued_after", "rows_added", "rows_known"] {
        summary.as_object_mut().unwrap().remove(name);
    }
    summary
}

fn killed_rebuild_continues_after_its_last_finished_range(mut place: Place) {
    const MANY: usize = 6_000;
    store_objects(&place, MANY);
    let keys = place.object_keys();
    let objects = place.objects();
    // In the ranges that are done when the rebuild is killed.
    let whole = objects.read(&keys[0]);
    objects.delete(&keys[0]);
    objects.write(&keys[0], &whole[..20]);
    objects.write("a-b/2023/notes.txt", b"mine");

    let ended = place.run(&["rebuild-catalogue", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    let once = summary(&ended);
    assert_eq!(
        (&once["objects"], &once["defects"]),
        (&6_001.into(), &2.into())
    );
    assert_eq!(once["continued_after"], Value::Null);
    let rows_at_once = rows(&place);

    place.use_another_database();
    place.catalogue().migrate().unwrap();
    let killed = place.start(&["rebuild-catalogue", "--json"]);
    // Positions are saved every 2,000 objects.
    place.wait_for_rows(3_000);
    killed.kill();
    let catalogue = place.catalogue();
    let there = catalogue.count(&RowFilter::default()).unwrap();
    assert!(there < MANY as u64 - 1, "it had ended");
    assert!(!catalogue.upkeep().state().unwrap().is_complete);
    drop(catalogue);

    let ended = place.run(&["rebuild-catalogue", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    let continued = summary(&ended);
    let after = continued["continued_after"].as_str().unwrap().to_owned();
    assert!(after.starts_with("a-b/"), "{after}");
    let added = continued["rows_added"].as_u64().unwrap();
    assert!(added > 2_000, "{continued}");
    assert_eq!(comparable(continued), comparable(once));
    assert_eq!(rows(&place), rows_at_once);
    let status = place.run(&["status", "--json"]).clean().stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["catalogue_complete"], true);
    // What was done is not read a second time.
    let told: BTreeSet<&str> = ended.stdout.lines().collect();
    assert!(
        !told.iter().any(|line| line.contains("notes.txt")),
        "{ended}"
    );

    // After its end a rebuild reads everything.
    let again = summary(&place.run(&["rebuild-catalogue", "--json"]));
    assert_eq!(again["continued_after"], Value::Null);
    assert_eq!(
        (&again["objects"], &again["rows_known"]),
        (&6_001.into(), &5_999.into())
    );
}

#[test]
fn killed_rebuild_continues_after_its_last_finished_range_on_sqlite_and_a_directory() {
    killed_rebuild_continues_after_its_last_finished_range(Place::embedded());
}

#[test]
fn killed_rebuild_continues_after_its_last_finished_range_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        killed_rebuild_continues_after_its_last_finished_range(place);
    }
}

#[test]
fn rebuild_is_not_continued_on_another_store_after_a_removal_or_if_not_wanted() {
    let place = Place::embedded();
    store_objects(&place, 30);
    let catalogue: Arc<dyn Catalogue> = Arc::from(place.catalogue());
    catalogue.migrate().unwrap();
    let upkeep = catalogue.upkeep();
    // Stopped behind everything, with all rows.
    let stopped = |store: &str, newest_row: i64| {
        let done = place.run(&["rebuild-catalogue", "--json"]).clean();
        assert_eq!(summary(&done)["objects"], 30);
        upkeep.begin_rebuild((1, 1)).unwrap();
        let counts = r#"{"objects":30,"added":30,"known":0,"set_aside":0,"defects":0,"unconfirmed":null,"incomplete":null,"continued_after":null}"#;
        let position = format!(
            r#"{{"range":"z/","done":{counts},"last":[],"newest_row":{newest_row},"store":{store:?},"is_signed":false}}"#
        );
        upkeep.save_rebuild((1, 1), &position).unwrap();
    };
    let name = place.store().name().to_owned();
    let read = |arguments: &[&str]| {
        let ended = place.run(&[&["rebuild-catalogue", "--json"], arguments].concat());
        let told = summary(&ended.clean());
        (told["continued_after"].clone(), told["rows_known"].clone())
    };
    stopped(&name, 1);
    assert_eq!(read(&[]), ("z/".into(), 0.into()));
    let from_start = (Value::Null, Value::from(30));
    stopped(&name, 1);
    assert_eq!(read(&["--from-start"]), from_start);
    stopped("directory elsewhere", 1);
    assert_eq!(read(&[]), from_start);
    stopped(&name, 1_000_000);
    assert_eq!(read(&[]), from_start);
}
