//! `rebuild-catalogue`: the whole catalogue from the store alone.

use serde_json::Value;

use crate::archive::text;
use crate::support::Place;
use crate::support::program::Ended;
use crate::support::proxy::{Deed, Proxy};

/// The catalogue but for its serial numbers, which no command shows.
pub fn rows(place: &Place) -> Vec<Value> {
    let listed = place.run(&["list-archive", "--json"]).clean();
    let mut rows: Vec<Value> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    rows.sort_by_key(|row| text(&row["uuid"]));
    rows
}

fn counts(place: &Place) -> String {
    place.run(&["list-archive", "--count"]).clean().stdout
}

pub fn summary(ended: &Ended) -> Value {
    let last = ended.stdout.lines().last().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["summary"].clone()
}

fn archived(mut place: Place) -> (Place, Vec<Value>, String) {
    place.write("veto.list", "sys.heartbeat");
    place.run_to_end();
    let before = (rows(&place), counts(&place));
    place.use_another_database();
    (place, before.0, before.1)
}

fn a_rebuilt_catalogue_is_the_one_that_was_lost(place: Place) {
    let (place, before, counted) = archived(place);
    let rebuilt = place.run(&["rebuild-catalogue", "--json"]).clean();
    assert_eq!(summary(&rebuilt)["rows_added"], 35);
    assert_eq!(rows(&place), before);
    assert_eq!(counts(&place), counted);
    place.run(&["verify", "--deep"]).clean();

    let again = place.run(&["rebuild-catalogue", "--json"]).clean();
    assert_eq!(
        (
            &summary(&again)["rows_added"],
            &summary(&again)["rows_known"]
        ),
        (&0.into(), &35.into())
    );
    // The archiver goes on as if nothing had been.
    assert_eq!(place.run_to_end().archived, 0);
    assert_eq!(rows(&place), before);
}

#[test]
fn a_rebuilt_catalogue_is_the_one_that_was_lost_on_sqlite_and_a_directory() {
    a_rebuilt_catalogue_is_the_one_that_was_lost(Place::embedded());
}

#[test]
fn a_rebuilt_catalogue_is_the_one_that_was_lost_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        a_rebuilt_catalogue_is_the_one_that_was_lost(place);
    }
}

#[test]
fn shards_that_run_at_once_make_one_catalogue() {
    let Some(place) = Place::mock_on_services() else {
        return;
    };
    let (place, before, counted) = archived(place);
    let shards = ["1/3", "2/3", "3/3"];
    let running: Vec<_> = shards
        .iter()
        .map(|shard| place.start(&["rebuild-catalogue", "--json", "--shard", shard]))
        .collect();
    let mut added = 0;
    for process in running {
        let ended = process.ended().clean();
        added += summary(&ended)["rows_added"].as_u64().unwrap();
    }
    assert_eq!(added, 35);
    assert_eq!(rows(&place), before);
    assert_eq!(counts(&place), counted);
}

#[test]
fn objects_beside_a_messages_own_are_set_aside_and_others_told() {
    let (place, before, _) = archived(Place::embedded());
    let objects = place.objects();
    let victim = before.iter().find(|row| row["topic"] == "known.headers");
    let (uuid, key) = victim
        .map(|row| (text(&row["uuid"]), text(&row["key"])))
        .unwrap();
    let bytes = objects.read(&key);
    let beside = |n: u32| key.replace(".bson", &format!("-{n}.bson"));
    objects.write(&beside(2), &bytes);
    objects.write(&beside(3), &bytes[..20]);
    objects.write("known.headers/notes.txt", b"mine");
    let stray = format!("known.headers/2023/1/1/{}.bson", uuid::Uuid::from_u128(9));
    objects.write(&stray, b"no message");

    let rebuilt = place.run(&["rebuild-catalogue", "--json"]);
    assert_eq!(rebuilt.code, Some(1), "{rebuilt}");
    let told = summary(&rebuilt);
    assert_eq!(
        (&told["set_aside"], &told["defects"]),
        (&2.into(), &2.into())
    );
    assert_eq!(rows(&place), before, "{uuid}");

    objects.delete("known.headers/notes.txt");
    objects.delete(&stray);
    place
        .run(&["verify", "--deep", "--in-flight", "0s"])
        .clean();
}

/// The names of all defects, in order.
fn defects(ended: &Ended) -> Vec<String> {
    let lines = ended.stdout.lines();
    lines
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line.get("defect").map(|defect| text(&defect["kind"]))
        })
        .collect()
}

fn status(place: &Place) -> Value {
    let ended = place.run(&["status", "--json"]).clean();
    serde_json::from_str(&ended.stdout).unwrap()
}

fn nothing_is_archived_before_the_last_part_is_rebuilt(place: Place) {
    let (place, before, _) = archived(place);
    let part = place.run(&["rebuild-catalogue", "--json", "--shard", "1/2"]);
    assert_eq!(summary(&part.clean())["catalogue_complete"], false);

    let checked = place.run(&["verify", "--json", "--topic", "known.headers"]);
    assert_eq!(checked.code, Some(1), "{checked}");
    assert!(defects(&checked).contains(&"incomplete_catalogue".to_owned()));
    let told = status(&place);
    assert_eq!(told["catalogue_complete"], false);
    assert_eq!(told["rebuild_missing"], serde_json::json!(["2/2"]));

    let running = place.start(&["run", "--until-eos", "--json"]);
    running.wait_for("archiving waits");
    assert_eq!(status(&place)["messages"], told["messages"]);
    let part = place.run(&["rebuild-catalogue", "--json", "--shard", "2/2"]);
    assert_eq!(summary(&part.clean())["catalogue_complete"], true);
    assert_eq!(running.ended().clean().summary().archived, 0);
    assert_eq!(rows(&place), before);
    assert_eq!(status(&place)["catalogue_complete"], true);
    place.run(&["verify", "--deep"]).clean();
}

#[test]
fn nothing_is_archived_before_the_last_part_is_rebuilt_on_sqlite_and_a_directory() {
    nothing_is_archived_before_the_last_part_is_rebuilt(Place::embedded());
}

#[test]
fn nothing_is_archived_before_the_last_part_is_rebuilt_on_postgresql_and_s3() {
    if let Some(place) = Place::mock_on_services() {
        nothing_is_archived_before_the_last_part_is_rebuilt(place);
    }
}

#[test]
fn a_rebuild_that_was_killed_leaves_the_catalogue_incomplete_until_it_is_run_again() {
    let Some(place) = Place::mock_on_services() else {
        return;
    };
    let (mut place, before, _) = archived(place);
    let proxy: Proxy = place.store_through_proxy();
    let mut left = 10;
    proxy.decide(move |request| match request.starts_with(b"GET /") {
        true if left == 0 => Deed::Hang,
        true => {
            left -= 1;
            Deed::Pass
        }
        false => Deed::Pass,
    });
    // The first run makes the tables.
    place.catalogue().migrate().unwrap();
    let rebuilding = place.start(&["rebuild-catalogue"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while place.catalogue().upkeep().state().unwrap().is_complete {
        assert!(std::time::Instant::now() < deadline, "{}", rebuilding.log());
    }
    rebuilding.kill();
    place.go_directly();
    assert_eq!(status(&place)["catalogue_complete"], false);
    place.run(&["rebuild-catalogue"]).clean();
    assert_eq!(status(&place)["catalogue_complete"], true);
    assert_eq!(rows(&place), before);
    assert_eq!(place.run_to_end().archived, 0);
}
