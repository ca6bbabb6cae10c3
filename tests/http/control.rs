//! The producer's control: every path, status and text that the scripts of its
//! operators know. What is controlled here is a table that obeys the rules of
//! the states; the listener in front of it is the program's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archive_ingest::config::{ControlConfig, HttpCredential};
use archive_ingest::http::Listener;
use archive_ingest::http::control::{
    Changeset, ControlApi, ControlFailure, Order, ProducerControl, ProducerState, Realms,
    TopicState, TopicStatus,
};
use archive_ingest::http::metrics::Metrics;
use archive_ingest::http::probes::Probes;
use archive_ingest::shutdown::{self, Trigger};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::http::{self, Answer};
use crate::scene::{PASSWORD, USER, any_port, basic, credential};

/// Realm `eha` with the topic `Person`.
struct Table {
    status: Mutex<TopicStatus>,
    is_kafka_there: bool,
    idle: BTreeMap<String, u64>,
}

#[async_trait]
impl ProducerControl for Table {
    async fn topics(&self) -> Result<Realms<u64>, String> {
        Ok(Realms::from([(
            "eha".into(),
            BTreeMap::from([("Person".into(), 7)]),
        )]))
    }

    async fn status(&self) -> ProducerState {
        let topic = TopicState {
            operating_status: *self.status.lock().expect("whole"),
            last_changeset_status: Changeset {
                changes: 7,
                failed: 1,
                succeeded: 6,
                timestamp: None,
            },
            last_errors_set: Value::Null,
        };
        ProducerState {
            kernel_mode: "db".into(),
            kernel_last_check: None,
            kernel_last_check_error: None,
            kafka_container_accessible: self.is_kafka_there,
            kafka_broker_information: json!({}),
            kafka_last_submission_error: None,
            topics: Realms::from([("eha".into(), BTreeMap::from([("Person".into(), topic)]))]),
        }
    }

    fn idle_realms(&self) -> BTreeMap<String, u64> {
        self.idle.clone()
    }

    async fn is_kernel_there(&self) -> bool {
        true
    }

    async fn is_kafka_there(&self) -> bool {
        self.is_kafka_there
    }

    async fn order(&self, order: Order, realm: &str, topic: &str) -> Result<(), ControlFailure> {
        if realm != "eha" {
            return Err(ControlFailure::NoRealm(realm.into()));
        }
        if topic != "Person" {
            let (realm, topic) = (realm.into(), topic.into());
            return Err(ControlFailure::NoTopic { realm, topic });
        }
        let mut status = self.status.lock().expect("whole");
        *status = match (order, *status) {
            (Order::Pause, TopicStatus::Normal) => TopicStatus::Paused,
            (Order::Resume, TopicStatus::Paused) => TopicStatus::Normal,
            (Order::Rebuild, TopicStatus::Normal | TopicStatus::Paused) => TopicStatus::Rebuilding,
            _ => {
                return Err(ControlFailure::Failed {
                    topic: topic.into(),
                });
            }
        };
        Ok(())
    }
}

struct Readiness(Vec<String>);

#[async_trait]
impl Probes for Readiness {
    async fn not_ready(&self) -> Vec<String> {
        self.0.clone()
    }
}

pub struct Control {
    pub address: SocketAddr,
    _trigger: Trigger,
    _runtime: tokio::runtime::Runtime,
}

impl Control {
    fn start(
        credential: Option<HttpCredential>,
        producer: Option<Table>,
        not_ready: &[&str],
    ) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let config = ControlConfig {
            address: any_port(),
            credential,
            pretty_status: false,
        };
        let producer = producer.map(|table| Arc::new(table) as Arc<dyn ProducerControl>);
        let probes = Readiness(
            not_ready
                .iter()
                .map(|reason| (*reason).to_owned())
                .collect(),
        );
        let api = ControlApi::new(&config, producer, Arc::new(probes), Metrics::default());
        let listener = runtime
            .block_on(Listener::bind("127.0.0.1", 0))
            .expect("a free port");
        let address = listener.address();
        let (trigger, shutdown) = shutdown::signal();
        runtime.spawn(listener.serve(Arc::new(api), shutdown, Duration::from_secs(1)));
        Self {
            address,
            _trigger: trigger,
            _runtime: runtime,
        }
    }

    pub fn normal() -> Self {
        Self::start(Some(credential()), Some(table()), &[])
    }

    pub fn ask(&self, method: &str, path: &str) -> Answer {
        http::ask(self.address, method, path, &[&basic(USER, PASSWORD)], None)
    }

    /// Status and text, as curl gets them.
    fn curl(&self, path: &str) -> (u16, String) {
        let output = Command::new("curl")
            .args([
                "-s",
                "-w",
                "\n%{http_code}",
                "-u",
                &format!("{USER}:{PASSWORD}"),
            ])
            .arg(format!("http://{}{path}", self.address))
            .output()
            .expect("curl runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let (body, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }
}

fn table() -> Table {
    Table {
        status: Mutex::new(TopicStatus::Normal),
        is_kafka_there: true,
        idle: BTreeMap::new(),
    }
}

#[test]
fn a_topic_is_paused_resumed_and_rebuilt_in_the_words_that_scripts_know() {
    let control = Control::normal();
    let of = "realm=eha&topic=Person";
    let said = |path: &str| control.curl(path);
    let yes = |status: &str| {
        (
            200,
            format!("Success for status TopicStatus.{status} on Person"),
        )
    };
    let no = (500, "Operation failed on Person".to_owned());
    assert_eq!(said(&format!("/resume?{of}")), no);
    assert_eq!(said(&format!("/pause?{of}")), yes("PAUSED"));
    assert_eq!(said(&format!("/pause?{of}")), no);
    assert_eq!(said(&format!("/resume?{of}")), yes("NORMAL"));
    assert_eq!(said(&format!("/rebuild?{of}")), yes("REBUILDING"));
    assert_eq!(said(&format!("/pause?{of}")), no);
    let answer = control.ask("GET", &format!("/resume?{of}")).with(500);
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn an_order_may_be_posted_too() {
    let control = Control::normal();
    let answer = control
        .ask("POST", "/pause?realm=eha&topic=Person")
        .with(200);
    assert_eq!(
        answer.text(),
        "Success for status TopicStatus.PAUSED on Person"
    );
    assert_eq!(
        control.ask("PUT", "/pause").with(405).header("allow"),
        Some("GET, POST, OPTIONS")
    );
}

#[test]
fn what_is_missing_or_not_there_is_told_in_the_words_that_scripts_know() {
    let control = Control::normal();
    for path in ["/pause", "/resume", "/rebuild"] {
        for (query, text) in [
            ("", "A realm must be specified"),
            ("?realm=&topic=Person", "A realm must be specified"),
            ("?realm=eha", "A topic must be specified"),
            ("?realm=eha&topic=", "A topic must be specified"),
            ("?realm=other&topic=Person", "Bad realm name: other"),
            (
                "?realm=eha&topic=eha.Person",
                "Realm eha has no topic eha.Person",
            ),
        ] {
            assert_eq!(
                control.curl(&format!("{path}{query}")),
                (422, text.to_owned())
            );
        }
    }
}

#[test]
fn status_and_topics_have_the_shape_that_scripts_know() {
    let control = Control::normal();
    let answer = control.ask("GET", "/topics").with(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), json!({"eha": {"Person": {"count": 7}}}));
    let status = control.ask("GET", "/status").with(200).json();
    let names: Vec<&String> = status.as_object().expect("an object").keys().collect();
    let told = "kernel_mode kernel_last_check kernel_last_check_error kafka_container_accessible kafka_broker_information kafka_last_submission_error topics";
    assert_eq!(names, told.split(' ').collect::<Vec<_>>());
    assert_eq!(
        status["topics"]["eha"]["Person"],
        json!({
            "operating_status": "TopicStatus.NORMAL",
            "last_changeset_status": {"changes": 7, "failed": 1, "succeeded": 6, "timestamp": null},
            "last_errors_set": null,
        })
    );
}

#[test]
fn health_needs_no_credential_and_tells_what_is_wrong() {
    let control = Control::normal();
    for path in [
        "/health",
        "/healthcheck",
        "/kernelcheck",
        "/kafkacheck",
        "/check-app/aether-kernel",
        "/check-app/kafka",
    ] {
        assert_eq!(
            http::get(control.address, path).with(200).json(),
            json!({"healthy": true}),
            "{path}"
        );
        assert!(
            http::ask(control.address, "HEAD", path, &[], None)
                .with(200)
                .body
                .is_empty()
        );
        http::ask(control.address, "OPTIONS", path, &[], None).with(204);
    }
    let app = http::get(control.address, "/check-app").with(200).json();
    let names: Vec<&String> = app.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["app_name", "app_version", "app_revision", "now"]);
    let sick = Table {
        is_kafka_there: false,
        idle: BTreeMap::from([("eha".to_owned(), 900)]),
        ..table()
    };
    let control = Control::start(Some(credential()), Some(sick), &["kafka does not answer"]);
    assert_eq!(
        http::get(control.address, "/health").with(200).json(),
        json!({"healthy": true})
    );
    assert_eq!(
        http::get(control.address, "/healthcheck").with(500).json(),
        json!({"eha": 900})
    );
    assert_eq!(
        http::get(control.address, "/kafkacheck").with(424).json(),
        json!({"healthy": false})
    );
    http::get(control.address, "/check-app/kafka").with(424);
    http::get(control.address, "/kernelcheck").with(200);
    http::get(control.address, "/livez").with(200);
    let ready = http::get(control.address, "/readyz").with(503).json();
    assert_eq!(ready["reasons"], json!(["kafka does not answer"]));
}

const PROTECTED: [&str; 5] = [
    "/status",
    "/topics",
    "/pause?realm=eha&topic=Person",
    "/resume",
    "/rebuild",
];

#[test]
fn without_the_right_credential_nothing_is_controlled() {
    let control = Control::normal();
    let wrong = basic(USER, "wrong");
    for path in PROTECTED {
        for headers in [
            &[][..],
            &[&*wrong],
            &["Authorization: Basic x"],
            &["Authorization: SCRAM-SHA-512 data=biws"],
        ] {
            let answer = http::ask(control.address, "GET", path, headers, None).with(401);
            assert_eq!(answer.text(), "Bad Credentials");
            assert!(
                answer
                    .header("www-authenticate")
                    .expect("there")
                    .starts_with("Basic ")
            );
        }
    }
    let status = control.ask("GET", "/status").with(200).json();
    assert_eq!(
        status["topics"]["eha"]["Person"]["operating_status"],
        "TopicStatus.NORMAL"
    );
}

#[test]
fn where_no_credential_is_configured_nobody_controls_and_it_says_why() {
    let control = Control::start(None, Some(table()), &[]);
    for path in PROTECTED {
        let answer = control.ask("GET", path).with(403);
        assert!(answer.text().contains("PRODUCER_ADMIN_USER"), "{answer:?}");
    }
    http::get(control.address, "/health").with(200);
}

#[test]
fn a_process_without_a_producer_says_so_and_is_healthy() {
    let control = Control::start(Some(credential()), None, &[]);
    let answer = control.ask("GET", "/status").with(503);
    assert_eq!(answer.text(), "This process runs no producer");
    http::get(control.address, "/healthcheck").with(200);
}

#[test]
fn ten_thousand_wrong_passwords_leave_the_control_responsive() {
    let control = Control::normal();
    for n in 0..10_000 {
        let wrong = basic(USER, &n.to_string());
        let answer = http::ask(control.address, "GET", "/status", &[&wrong], None);
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
    http::get(control.address, "/health").with(200);
}
