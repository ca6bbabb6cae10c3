//! A registry that asks for a password, behind TLS; Kafka behind both.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::scene::{READING, Scene, assert_one_clear_line};
use crate::support::broker::Access;
use crate::support::skip::service;

/// The registry behind HTTPS and basic authentication; ends with this value.
struct Guarded {
    process: Child,
    url: String,
    ca: String,
}

impl Guarded {
    fn start(registry: &str) -> Option<Self> {
        let python = service("TEST_PY_REGISTRY")?;
        let (folder, ca) = (service("TEST_DIR")?, service("TEST_CA")?);
        let mut process = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/registry_proxy.py"))
            .arg(registry)
            .arg(format!("{folder}/tls/server-with-key.pem"))
            .args(["reader", "open sesame"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python that runs");
        let mut port = String::new();
        let mut told = BufReader::new(process.stdout.take().expect("piped"));
        told.read_line(&mut port).expect("a port");
        let (_, path) = registry.split_once("/apis").expect("a path");
        let url = format!("https://127.0.0.1:{}/apis{path}", port.trim());
        Some(Self { process, url, ca })
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Fails when it has ended, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn events_go_through_a_registry_and_a_kafka_that_ask_who_one_is() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let Some(guarded) = Guarded::start(&scene.registry) else {
        return;
    };
    let topic = scene.broker.create("guarded", 1);
    let line = "{\"station\": \"Elbe\", \"level\": 7}\n";
    let access = Access::SaslSsl("SCRAM-SHA-512");
    let Some(()) = scene.place.use_kafka(&scene.broker, access) else {
        return;
    };
    let place = &mut scene.place;
    place.set("registry", "registry-url", &format!("{:?}", guarded.url));
    place.variable("REGISTRY_USERNAME", "reader");
    place.variable("REGISTRY_PASSWORD", "open sesame");
    let unknown = scene.produce_lines(&topic, READING, line);
    assert_one_clear_line(&unknown, 3, "certificate");

    let ca = format!("{:?}", guarded.ca);
    scene.place.set("registry", "registry-ssl-ca-location", &ca);
    scene.place.variable("REGISTRY_PASSWORD", "wrong");
    let refused = scene.produce_lines(&topic, READING, line);
    assert_one_clear_line(&refused, 3, "REGISTRY_PASSWORD");
    assert!(scene.broker.offsets(&topic, 0).is_empty());

    scene.place.variable("REGISTRY_PASSWORD", "open sesame");
    scene.produce_lines(&topic, READING, line).clean();
    let consumed = scene.consume(&topic, 1, &["--format", "avro"]);
    assert_eq!(consumed[0]["value"]["data"]["station"], "Elbe");
}
