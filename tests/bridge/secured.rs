//! A cluster that asks for a credential and shows a certificate, in both
//! directions.

use serde_json::json;

use crate::receiver::Receiver;
use crate::scene::{Scene, eventually};
use crate::support::Broker;
use crate::support::broker::{Access, Credential};
use crate::support::program::{Ended, Process};
use crate::support::unique;
use crate::topic;

/// The SASL_SSL listener of the common broker, and who may come in.
struct Secured {
    broker: Broker,
    address: String,
    credential: Credential,
    receiver: Receiver,
}

impl Secured {
    fn new() -> Option<Self> {
        let (address, credential) = Broker::listener(Access::SaslSsl("SCRAM-SHA-512"))?;
        Some(Self {
            broker: Broker::connect()?,
            address,
            credential: credential?,
            receiver: Receiver::start(),
        })
    }

    /// The CA's certificate is in the environment.
    fn scene(&self, kafka: &str) -> Scene {
        let mut scene = Scene::on(kafka);
        let agent = format!("\"http://{}\"", self.receiver.address);
        scene.set("bridge-agent-url", &agent);
        let inbound = format!("'acapy-inbound-.*{}'", self.broker.suffix);
        scene.set("bridge-inbound-topics", &inbound);
        let ca = self.credential.ca.to_str().expect("UTF-8");
        scene.variable("HOP_SSL_CA_LOCATION", ca);
        scene
    }

    /// As an operator of the plugin has it.
    fn plugin_file(&self, mechanism: &str, password: &str) -> String {
        format!(
            "kafka_events:\n  bootstrap_servers: \"{}\"\n  security_protocol: \"SASL_SSL\"\n  \
             sasl_mechanism: \"{mechanism}\"\n  sasl_plain_username: \"{}\"\n  \
             sasl_plain_password: \"{password}\"\n",
            self.address, self.credential.username
        )
    }

    /// An event out, a record in, and a dead letter.
    fn both_directions(&self, scene: &Scene) {
        let inbound = self.broker.create("acapy-inbound-test", 1);
        let _bridge = scene.start_with_agent();
        let name = format!("secured{}", unique());
        for n in 0..10 {
            let body = json!({ "n": n }).to_string();
            scene.post(&format!("/topic/{name}"), &body).with(200);
        }
        let topic = format!("acapy-webhook-{name}");
        let on_kafka: Vec<_> = topic::read(&self.broker.address, &topic)
            .iter()
            .map(topic::Read::json)
            .collect();
        let sent: Vec<_> = (0..10).map(|n| json!({ "n": n })).collect();
        assert_eq!(on_kafka, sent);
        let values = sent.iter().map(|value| (0, value.to_string()));
        topic::send(&self.broker.address, &inbound, values);
        eventually("the records", || {
            (self.receiver.bodies().len() >= 10).then_some(())
        });
        assert_eq!(self.receiver.bodies(), sent);
        topic::send(&self.broker.address, &inbound, [(0, "no json".to_owned())]);
        eventually("the dead letter", || {
            (scene.status()["dead_letters"] == json!(1)).then_some(())
        });
    }
}

#[test]
fn over_sasl_ssl_with_what_the_plugins_file_says_both_directions_work() {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let Some(secured) = Secured::new() else {
            return;
        };
        let mut scene = secured.scene("nowhere");
        let file = secured.plugin_file(mechanism, &secured.credential.password);
        scene.use_plugin_config(&file);
        secured.both_directions(&scene);
    }
}

#[test]
fn over_sasl_ssl_with_what_the_stanza_says_both_directions_work() {
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let Some(secured) = Secured::new() else {
            return;
        };
        let mut scene = secured.scene(&secured.address);
        scene.variable("HOP_USERNAME", &secured.credential.username);
        scene.variable("HOP_PASSWORD", &secured.credential.password);
        scene.variable("HOP_SASL_MECHANISM", mechanism);
        scene.variable("HOP_SECURITY_PROTOCOL", "SASL_SSL");
        secured.both_directions(&scene);
    }
}

#[test]
fn with_a_stanza_for_the_cluster_the_plugins_file_still_says_who_one_is() {
    let Some(secured) = Secured::new() else {
        return;
    };
    let mut scene = secured.scene(&secured.address);
    let file = secured.plugin_file("SCRAM-SHA-256", &secured.credential.password);
    let file = scene.write(
        "plugins-config.yaml",
        &file.replace(&secured.address, "somewhere.else:9092"),
    );
    scene.set(
        "bridge-plugin-config",
        &format!("{:?}", file.display().to_string()),
    );
    secured.both_directions(&scene);
}

#[test]
fn a_wrong_password_and_a_wrong_ca_are_told_at_once_in_one_line() {
    let Some(secured) = Secured::new() else {
        return;
    };
    let ends = |file: &str, ca: Option<&str>| -> Ended {
        let mut scene = secured.scene("nowhere");
        if let Some(ca) = ca {
            let ca = scene.write("other-ca.pem", ca);
            scene.variable("HOP_SSL_CA_LOCATION", ca.to_str().expect("UTF-8"));
        }
        scene.use_plugin_config(file);
        Process::start(scene.command()).ended()
    };
    let wrong = ends(&secured.plugin_file("SCRAM-SHA-512", "wrong"), None);
    assert_eq!(wrong.code, Some(3), "{wrong}");
    assert!(wrong.stderr.contains("check user and password"), "{wrong}");
    let right = secured.plugin_file("SCRAM-SHA-512", &secured.credential.password);
    let other = include_str!("../catalogue_contract/tls/other-ca.pem");
    let unknown = ends(&right, Some(other));
    assert_eq!(unknown.code, Some(3), "{unknown}");
    assert!(unknown.stderr.contains("hop-ssl-ca-location"), "{unknown}");
    for ended in [wrong, unknown] {
        let errors = ended
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: "));
        assert_eq!(errors.count(), 1, "{ended}");
    }
}
