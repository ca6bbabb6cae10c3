//! What a pass over a kernel promises: every entity on its topic once, in order,
//! whatever happens on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng;
use uuid::Uuid;

use crate::scene::{PERSON, Read, Scene, Type, entities};
use crate::support::python::Python;

const PRODUCE: &[&str] = &["produce", "--json"];

/// The numbers are these, each once, in order.
#[track_caller]
fn assert_in_order(numbers: &[u64], count: u64) {
    let expected: Vec<u64> = (0..count).collect();
    assert!(
        numbers == expected,
        "{} entities, of which {} different, where there are {count}",
        numbers.len(),
        numbers.iter().collect::<BTreeSet<_>>().len(),
    );
}

fn header(message: &Read, name: &str) -> String {
    String::from_utf8(message.headers[name].clone()).expect("text")
}

#[test]
fn every_entity_is_on_its_realms_topic_once_in_order_with_the_schema_as_registered() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let shared = Uuid::from_u128(rand::random());
    let types = ["a", "b"].map(|realm| scene.register(realm, shared, "Person", PERSON));
    for of in &types {
        scene.store(of, 0, 6000, Duration::from_secs(60));
    }
    scene.run(PRODUCE).clean();
    for of in &types {
        assert_in_order(&scene.numbers(&of.topic), 6000);
    }
    scene.store(&types[0], 6000, 10, Duration::from_secs(1));
    scene.settle();
    scene.run(PRODUCE).clean();
    scene.run(PRODUCE).clean();
    assert_in_order(&scene.numbers(&types[0].topic), 6010);
    assert_in_order(&scene.numbers(&types[1].topic), 6000);
    let messages = scene.read(&types[0].topic);
    let registered: serde_json::Value = serde_json::from_str(PERSON).expect("JSON");
    let mut before = String::new();
    for message in &messages {
        assert!(message.key.is_none());
        assert!(message.value.len() <= 100_000);
        assert!(entities(&message.value).len() <= 250);
        let reader = apache_avro::Reader::new(&message.value[..]).expect("a container");
        drop(reader);
        let position = header(message, "position");
        assert!(position > before, "{position} after {before}");
        before = position;
        assert_eq!(embedded_schema(&message.value), registered);
    }
}

/// The metadata begin after the magic: a count, and then names and values, each
/// with its length before it.
fn embedded_schema(container: &[u8]) -> serde_json::Value {
    let at = container
        .windows(11)
        .position(|part| part == b"avro.schema")
        .expect("a schema")
        + 11;
    let (mut length, mut shift, mut next) = (0u64, 0, at);
    loop {
        let byte = container[next];
        length |= u64::from(byte & 0x7f) << shift;
        (shift, next) = (shift + 7, next + 1);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let end = next + (length >> 1) as usize;
    serde_json::from_slice(&container[next..end]).expect("JSON")
}

#[test]
fn aethers_consumer_and_fastavro_read_every_entity_in_order_with_the_schema_as_registered() {
    let Some(python) = Python::of("TEST_PY_AETHER") else {
        return;
    };
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 2000, Duration::from_secs(60));
    scene.run(PRODUCE).clean();
    let arguments = [scene.kafka.as_str(), &of.topic, PERSON, "2000"];
    let said = python.run("consume_topic.py", &arguments, &[]);
    assert_eq!(said.trim(), "2000 entities");
}

#[test]
fn kill_9_at_random_moments_loses_nothing_and_sends_nothing_twice() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let types = [
        scene.person(),
        scene.register("b", Uuid::from_u128(rand::random()), "Person", PERSON),
    ];
    let (mut stored, mut kills) = (0, vec![]);
    for round in 0..12 {
        for of in &types {
            scene.store(of, stored, 3000, Duration::from_secs(60 - round));
        }
        stored += 3000;
        let process = scene.start(PRODUCE);
        let moment = rand::rng().random_range(20..900);
        std::thread::sleep(Duration::from_millis(moment));
        process.kill();
        kills.push(moment);
    }
    let ended = scene.run(PRODUCE).clean();
    eprintln!("killed after (ms): {kills:?}; at last {}", ended.stdout);
    for of in &types {
        assert_in_order(&scene.numbers(&of.topic), stored);
    }
}

#[test]
fn what_the_topic_holds_beyond_the_table_is_not_sent_again() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 1000, Duration::from_secs(60));
    scene.run(PRODUCE).clean();
    scene.execute("CREATE TABLE kept AS TABLE producer_positions");
    scene.store(&of, 1000, 1000, Duration::from_secs(30));
    scene.run(PRODUCE).clean();
    // As if the program had been killed between the commit and the table.
    scene.execute(
        "UPDATE producer_positions p SET \"position\" = k.\"position\", log_ends = k.log_ends,
             open_chunk = k.open_chunk FROM kept k;
         DELETE FROM producer_sent WHERE id > (SELECT open_chunk FROM kept)",
    );
    scene.run(PRODUCE).clean();
    assert_in_order(&scene.numbers(&of.topic), 2000);
    // And what was sent is known again.
    scene.run(&["reconcile"]).clean();
    assert_in_order(&scene.numbers(&of.topic), 2000);
    // As if the table had been lost.
    scene.execute("DELETE FROM producer_positions; DELETE FROM producer_sent");
    scene.store(&of, 2000, 10, Duration::from_secs(10));
    scene.run(PRODUCE).clean();
    assert_in_order(&scene.numbers(&of.topic), 2010);
}

#[test]
fn an_entity_stamped_long_before_is_found_by_the_reconciliation_and_sent_once() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 3000, Duration::from_secs(10));
    scene.run(PRODUCE).clean();
    scene.store(&of, 3000, 7, Duration::from_secs(3600));
    scene.run(PRODUCE).clean();
    assert_eq!(
        scene.numbers(&of.topic).len(),
        3000,
        "it is behind the position"
    );
    let found = scene.run(&["reconcile", "--json"]).clean();
    assert!(found.stdout.contains("\"late\":7"), "{found}");
    let found = scene.run(&["reconcile", "--json"]).clean();
    assert!(found.stdout.contains("\"late\":0"), "{found}");
    scene.store(&of, 3007, 1, Duration::from_secs(1));
    scene.settle();
    scene.run(PRODUCE).clean();
    let mut numbers = scene.numbers(&of.topic);
    numbers.sort_unstable();
    assert_in_order(&numbers, 3008);
}

/// What became of each.
#[test]
fn rows_that_do_not_fit_go_into_the_quarantine_with_the_reason_and_the_rest_goes_on() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    let long = "y".repeat(10 << 20);
    let noise: String = (0..2 << 20)
        .map(|_| char::from(rand::rng().random_range(b'0'..b'z')))
        .collect();
    let noise = noise.replace('\\', "x");
    let rows = [
        (
            r#"{"id": "a"}"#.to_owned(),
            Some("$.number: missing, and the schema has no default for it"),
        ),
        (
            r#"{"id": 7, "number": 1}"#.to_owned(),
            Some("$.id: an integer, where the schema has string"),
        ),
        (
            r#"{"id": null, "number": 1}"#.to_owned(),
            Some("$.id: null, where the schema has string"),
        ),
        (
            r#"{"id": "a", "number": 1e400}"#.to_owned(),
            Some("$: the payload cannot be read"),
        ),
        (
            r#"{"id": "a", "number": 9223372036854775808}"#.to_owned(),
            Some("$.number: an integer beyond the range of long"),
        ),
        (
            r#"{"id": "a", "number": "NaN"}"#.to_owned(),
            Some("$.number: a text, where the schema has long"),
        ),
        (
            r#"[1, 2]"#.to_owned(),
            Some("$: an array, where the schema has record"),
        ),
        (
            format!(r#"{{"id": "a", "number": 0, "note": "{noise}"}}"#),
            Some("is larger than the topic takes"),
        ),
        (
            r#"{"id": "a", "number": 1, "more": {"x": [1]}}"#.to_owned(),
            None,
        ),
        (
            format!(r#"{{"id": "a", "number": 2, "note": "{long}"}}"#),
            None,
        ),
        (r#"{"id": "a", "number": 3, "note": null}"#.to_owned(), None),
    ];
    let mut bad = vec![];
    for (place, (payload, reason)) in rows.iter().enumerate() {
        let ago = Duration::from_secs(60 - place as u64);
        let id = scene.store_payload(&of, payload, ago);
        bad.extend(reason.map(|reason| (id, reason)));
    }
    scene.store(&of, 4, 300, Duration::from_secs(20));
    assert_eq!(scene.run(PRODUCE).code, Some(1));
    let numbers = scene.numbers(&of.topic);
    assert_eq!(numbers[..4], [1, 2, 3, 4]);
    assert_eq!(numbers.len(), 303);
    let listed = scene.run(&["quarantine", "list", "--json"]).clean();
    let listed: Vec<serde_json::Value> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(listed.len(), bad.len(), "{listed:?}");
    for ((id, reason), line) in bad.iter().zip(&listed) {
        assert_eq!(line["id"], id.to_string());
        let told = line["reason"].as_str().expect("text");
        assert!(told.contains(reason), "{told:?} is not {reason:?}");
    }
    // Neither the next pass nor a reconciliation takes them up again.
    scene.run(PRODUCE).clean();
    scene.run(&["reconcile"]).clean();
    replay_and_drop(&scene, &of, bad[0].0);
}

/// A schema that has become wider takes what did not fit.
fn replay_and_drop(scene: &Scene, of: &Type, first: Uuid) {
    let wider = PERSON.replace(r#""type": "long"}"#, r#""type": "long", "default": 999}"#);
    scene.execute(&format!(
        "UPDATE kernel_schema SET definition = '{wider}', revision = '2'"
    ));
    let replayed = scene
        .run(&["quarantine", "replay", "--id", &first.to_string()])
        .clean();
    assert_eq!(replayed.stdout.trim(), "1 published");
    let numbers = scene.numbers(&of.topic);
    assert_eq!((numbers.len(), numbers.last()), (304, Some(&999)));
    let tried = scene.run(&["quarantine", "replay"]);
    assert_eq!(tried.code, Some(1), "{tried}");
    let dropped = scene.run(&["quarantine", "drop"]).clean();
    assert_eq!(dropped.stdout.trim(), "7 dropped");
    scene.run(&["reconcile"]).clean();
    assert_eq!(scene.numbers(&of.topic).len(), 304);
}

#[test]
fn an_empty_topic_never_resets_a_position_and_a_rebuild_does() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.set(
        "produce-topic-properties",
        "{ \"cleanup.policy\" = \"delete\", \"segment.ms\" = \"3600000\" }",
    );
    let of = scene.person();
    scene.store(&of, 0, 500, Duration::from_secs(60));
    scene.run(PRODUCE).clean();
    scene.delete_topic(&of.topic);
    scene.store(&of, 500, 5, Duration::from_secs(30));
    scene.run(PRODUCE).clean();
    assert_eq!(scene.numbers(&of.topic), [500, 501, 502, 503, 504]);
    let unasked = scene.run(&["rebuild", "--topic", &of.topic]);
    assert_eq!(unasked.code, Some(2), "{unasked}");
    scene
        .run(&["rebuild", "--topic", &of.topic, "--yes", "--paused"])
        .clean();
    assert_eq!(
        scene.topic_setting(&of.topic, "segment.ms"),
        None,
        "the topic is gone"
    );
    let paused = scene.run(PRODUCE);
    assert_eq!(paused.code, Some(3), "{paused}");
    assert!(paused.stderr.contains("PAUSED"), "{paused}");
    scene
        .run(&["rebuild", "--topic", &of.topic, "--yes"])
        .clean();
    assert_in_order(&scene.numbers(&of.topic), 505);
    let segment = scene.topic_setting(&of.topic, "segment.ms");
    assert_eq!(
        segment.as_deref(),
        Some("3600000"),
        "it is made with its configuration"
    );
}

#[test]
fn two_schemas_of_one_name_in_a_realm_are_never_mixed() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 10, Duration::from_secs(60));
    scene.run(PRODUCE).clean();
    let other = scene.register("", Uuid::from_u128(rand::random()), "Person", PERSON);
    assert_eq!(other.topic, of.topic);
    scene.store(&other, 100, 10, Duration::from_secs(50));
    scene.store(&of, 10, 10, Duration::from_secs(40));
    let ended = scene.run(PRODUCE);
    assert_eq!(ended.code, Some(3), "{ended}");
    let named = format!(
        "topic {} is already that of schema {}/{}",
        of.topic, of.realm, of.schema_id
    );
    assert!(ended.stderr.contains(&named), "{ended}");
    assert_in_order(&scene.numbers(&of.topic), 20);
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 20, Duration::from_secs(60));
    scene.store_payload(&of, "{}", Duration::from_secs(50));
    let dry = scene.run(&["produce", "--dry-run", "--json"]);
    assert!(dry.stdout.contains("\"published\":20"), "{dry}");
    assert!(dry.stdout.contains("\"quarantined\":1"), "{dry}");
    assert_eq!(
        scene.topic_setting(&of.topic, "segment.ms"),
        None,
        "no topic was made"
    );
    assert!(scene.positions().all().expect("positions").is_empty());
}
