//! Entities in the registry's wire format, one a message.

use archive_ingest::registry::wire;
use serde_json::{Value, json};

use super::scene::{Scene, assert_one_clear_line};
use crate::support::Broker;
use crate::support::skip::service;

const KERNEL: &str = include_str!("../entities/kernel.sql");

struct Kernel {
    scene: Scene,
    realm: String,
}

impl Kernel {
    fn new() -> Option<Self> {
        let mut scene = Scene::new()?;
        scene.place.use_postgres()?;
        scene.place.execute(KERNEL);
        let realm = format!("r{}", scene.broker.suffix);
        let (host, port) = (service("TEST_PG_HOST")?, service("TEST_PG_PORT")?);
        let (user, password) = (service("TEST_PG_USER")?, service("TEST_PG_PASSWORD")?);
        let database = scene.place.database_name();
        let place = &mut scene.place;
        place.set("kernel", "kernel-type", "\"aether\"");
        place.set("kernel", "kernel-host", &format!("{host:?}"));
        place.set("kernel", "kernel-port", &port);
        place.set("kernel", "kernel-name", &format!("{database:?}"));
        place.set("kernel", "kernel-username", &format!("{user:?}"));
        place.variable("KERNEL_PASSWORD", &password);
        place.set("produce", "produce-format", "\"registry\"");
        place.set("produce", "produce-topic-replicas", "1");
        place.execute(&format!(
            "INSERT INTO kernel_project VALUES ('{PROJECT}');
             INSERT INTO multitenancy_mtinstance VALUES ('{PROJECT}', '{realm}');
             INSERT INTO kernel_schema (id, name, definition) VALUES ('{SCHEMA}', 'Person', '{PERSON}');
             INSERT INTO kernel_schemadecorator (id, name, project_id, schema_id)
                 VALUES ('{DECORATOR}', 'Person', '{PROJECT}', '{SCHEMA}');"
        ));
        Some(Self { scene, realm })
    }

    /// Stores persons of these numbers, a second and more ago.
    fn store(&self, numbers: std::ops::Range<usize>) {
        self.scene.place.execute(&format!(
            "INSERT INTO kernel_entity (id, payload, modified, mapping_id, schemadecorator_id, project_id)
             SELECT id, jsonb_build_object('id', id, 'number', n),
                 to_char(timezone('UTC', now()) - interval '60 s' + n * interval '1 ms',
                     'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '-' || id,
                 '00000000-0000-0000-0000-00000000000a', '{DECORATOR}', '{PROJECT}'
             FROM (SELECT n, gen_random_uuid() AS id FROM generate_series({}, {}) AS n) AS made",
            numbers.start,
            numbers.end - 1
        ));
    }

    fn produce(&self, more: &[&str]) -> crate::support::program::Ended {
        let arguments = [&["-K", "kernel", "produce", "--json"][..], more].concat();
        self.scene.place.run(&arguments)
    }

    fn topic(&self) -> String {
        format!("{}.Person", self.realm)
    }

    /// The `number` of every message, by the registry's decoding.
    fn numbers(&self, count: usize) -> Vec<Value> {
        let consumed = self
            .scene
            .consume(&self.topic(), count, &["--format", "avro"]);
        consumed
            .iter()
            .map(|event| event["value"]["data"]["number"].clone())
            .collect()
    }
}

const PROJECT: &str = "00000000-0000-0000-0000-0000000000a1";
const SCHEMA: &str = "00000000-0000-0000-0000-0000000000a2";
const DECORATOR: &str = "00000000-0000-0000-0000-0000000000a3";
const PERSON: &str = r#"{"name": "Person", "type": "record", "aetherBaseSchema": true, "fields": [
    {"name": "id", "type": "string"}, {"name": "number", "type": "long"}]}"#;

/// Those of the records' headers, in their order.
fn positions(broker: &Broker, topic: &str) -> Vec<String> {
    let output = std::process::Command::new(service("TEST_KCAT").expect("beside Kafka"))
        .args([
            "-b",
            &broker.address,
            "-t",
            topic,
            "-C",
            "-e",
            "-q",
            "-f",
            "%h\\n",
        ])
        .args(["-X", "isolation.level=read_committed"])
        .output()
        .expect("kcat");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let position = |line: &str| line.split(',').next().unwrap_or_default().to_owned();
    text.lines()
        .filter(|line| line.starts_with("position="))
        .map(position)
        .collect()
}

#[test]
fn each_entity_is_a_message_of_the_registry_and_once_on_the_topic() {
    let Some(kernel) = Kernel::new() else { return };
    kernel.store(0..20);
    let registry = ["-R", "registry"];
    kernel.produce(&registry).clean();
    let numbers =
        |range: std::ops::Range<usize>| -> Vec<Value> { range.map(|n| json!(n)).collect() };
    assert_eq!(kernel.numbers(20), numbers(0..20));
    // What was published is not published again, also where only the topic
    // knows of it.
    kernel.produce(&registry).clean();
    kernel
        .scene
        .place
        .execute("DELETE FROM producer_sent; DELETE FROM producer_positions");
    kernel.store(20..30);
    kernel.produce(&registry).clean();
    assert_eq!(kernel.numbers(30), numbers(0..30));
    if service("TEST_KCAT").is_some() {
        let positions = positions(&kernel.scene.broker, &kernel.topic());
        assert_eq!(positions.len(), 30);
        assert!(
            positions.is_sorted(),
            "each message says where the type then stands"
        );
    }
    kernel.scene.broker.delete(&kernel.topic());
}

#[test]
fn with_the_registry_away_nothing_is_published_and_all_of_it_later() {
    let Some(mut kernel) = Kernel::new() else {
        return;
    };
    kernel.store(0..5);
    let registry = kernel.scene.registry.clone();
    kernel
        .scene
        .place
        .set("registry", "registry-url", "\"http://127.0.0.1:9\"");
    let away = kernel.produce(&["-R", "registry"]);
    assert_eq!(away.code, Some(3), "{away}");
    assert!(
        format!("{away}").contains("schema registry http://127.0.0.1:9"),
        "{away}"
    );
    kernel
        .scene
        .place
        .set("registry", "registry-url", &format!("{registry:?}"));
    kernel.produce(&["-R", "registry"]).clean();
    assert_eq!(kernel.numbers(5), [0, 1, 2, 3, 4]);
    kernel.scene.broker.delete(&kernel.topic());
    let none = kernel.produce(&[]);
    assert_one_clear_line(&none, 2, "name its stanza with -R");
}

#[test]
fn a_message_has_the_wire_formats_five_bytes_and_one_entity() {
    use archive_ingest::produce::{ContainerWriter, Encoder};
    let header = wire::join(7, vec![]);
    let mut writer = ContainerWriter::bare(PERSON, header).expect("a schema");
    let payload = r#"{"id": "a", "number": 1}"#;
    let mut encoded = vec![];
    writer.encode(payload, &mut encoded).expect("it fits");
    assert!(!writer.is_full_for(encoded.len()));
    writer.push(&encoded);
    assert!(writer.is_full_for(0), "one a message");
    let message = writer.finish().expect("memory").expect("one");
    let mut datum = vec![];
    Encoder::new(PERSON)
        .expect("a schema")
        .encode(payload, &mut datum)
        .expect("it fits");
    assert_eq!(wire::split(&message), Some((7, datum.as_slice())));
    assert_eq!(writer.finish().expect("memory"), None);
}
