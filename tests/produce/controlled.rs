//! What whoever controls a running producer over HTTP is promised: paths, texts
//! and statuses that scripts know, of types that really are published.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{self, Answer};
use crate::scene::{PERSON, Scene, Type};
use crate::support::Process;

const USER: &str = "admin";
const PASSWORD: &str = "correct horse";

/// `run --only producer`, which can be asked.
pub struct Running {
    pub process: Process,
    pub control: SocketAddr,
}

impl Running {
    /// On a free port, with a credential.
    pub fn start(scene: &mut Scene, arguments: &[&str]) -> Self {
        let_in(scene);
        Self::of(scene.start(arguments))
    }

    pub fn of(process: Process) -> Self {
        let line = process.line_with("control on http://");
        let (_, address) = line.split_once("http://").expect("a URL");
        let control = address.trim().parse().expect("an address");
        Self { process, control }
    }

    fn ask(&self, method: &str, path: &str) -> Answer {
        let known = format!("{USER}:{PASSWORD}");
        let known = base64::engine::general_purpose::STANDARD.encode(known);
        let known = format!("Authorization: Basic {known}");
        http::ask(self.control, method, path, &[&known], None)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    /// Status and text, as curl gets them.
    pub fn curl(&self, path: &str) -> (u16, String) {
        let output = Command::new("curl")
            .args(["-s", "-w", "\n%{http_code}", "-u"])
            .arg(format!("{USER}:{PASSWORD}"))
            .arg(format!("http://{}{path}", self.control))
            .output()
            .expect("curl runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let (body, status) = text.rsplit_once('\n').expect("a status");
        (status.parse().expect("a number"), body.to_owned())
    }

    /// What `/status` says of a type.
    pub fn status(&self, of: &Type) -> Value {
        let (realm, name) = of.topic.rsplit_once('.').expect("a topic");
        self.get("/status").with(200).json()["topics"][realm][name].clone()
    }

    pub fn wait_for(&self, of: &Type, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            Some(self.status(of)).filter(|status| is_so(status))
        })
    }

    /// A line of `/metrics`, its number.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let text = http::get(self.control, "/metrics").with(200).text();
        let is_it = |line: &&str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        let line = text.lines().find(is_it)?;
        line.rsplit_once(' ')?.1.parse().ok()
    }

    /// Entities of a type that it has published.
    pub fn published(&self, of: &Type) -> u64 {
        let label = format!("topic=\"{}\"", of.topic);
        let published = self.metric("producer_published_total", &[&label]);
        published.unwrap_or_default() as u64
    }

    pub fn end(self) {
        self.process.signal("TERM");
        self.process.ended().clean();
    }
}

pub fn let_in(scene: &mut Scene) {
    scene.variable("PRODUCER_LISTEN", "127.0.0.1:0");
    scene.variable("PRODUCER_ADMIN_USER", USER);
    scene.variable("PRODUCER_ADMIN_PW", PASSWORD);
}

pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn is(status: &Value, word: &str) -> bool {
    status["operating_status"] == format!("TopicStatus.{word}")
}

pub fn succeeded(status: &Value, count: u64) -> bool {
    is(status, "NORMAL") && status["last_changeset_status"]["succeeded"] == count
}

pub const PRODUCER: &[&str] = &["run", "--only", "producer"];

#[test]
fn types_are_paused_resumed_and_rebuilt_in_the_words_that_scripts_know() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 100, Duration::from_secs(60));
    let running = Running::start(&mut scene, PRODUCER);
    running.wait_for(&of, "the first 100", |status| succeeded(status, 100));
    let order = |verb: &str| running.curl(&format!("/{verb}?realm={}&topic=Person", of.realm));
    let yes = |word: &str| {
        let text = format!("Success for status TopicStatus.{word} on Person");
        (200, text)
    };
    let no = (500, "Operation failed on Person".to_owned());
    assert_eq!(order("resume"), no);
    assert_eq!(order("pause"), yes("PAUSED"));
    assert!(is(&running.status(&of), "PAUSED"));
    assert_eq!(order("pause"), no);
    scene.store(&of, 100, 10, Duration::ZERO);
    assert_eq!(order("resume"), yes("NORMAL"));
    running.wait_for(&of, "what came meanwhile", |status| succeeded(status, 10));
    assert_eq!(order("rebuild"), yes("REBUILDING"));
    running.wait_for(&of, "the rebuild is over", |status| is(status, "PAUSED"));
    assert_eq!(scene.topic_setting(&of.topic, "retention.ms"), None);
    assert_eq!(order("resume"), yes("NORMAL"));
    running.wait_for(&of, "all of them anew", |status| succeeded(status, 110));
    assert_eq!(scene.numbers(&of.topic), (0..110).collect::<Vec<_>>());
    let anew = scene.topic_setting(&of.topic, "retention.ms");
    assert_eq!(anew.as_deref(), Some("604800000"));
    for verb in ["pause", "resume", "rebuild"] {
        let realm = &of.realm;
        for (query, text) in [
            (String::new(), "A realm must be specified".to_owned()),
            (
                "?realm=&topic=Person".to_owned(),
                "A realm must be specified".to_owned(),
            ),
            (
                format!("?realm={realm}"),
                "A topic must be specified".to_owned(),
            ),
            (
                "?realm=nowhere&topic=Person".to_owned(),
                "Bad realm name: nowhere".to_owned(),
            ),
            (
                format!("?realm={realm}&topic={}", of.topic),
                format!("Realm {realm} has no topic {}", of.topic),
            ),
        ] {
            assert_eq!(running.curl(&format!("/{verb}{query}")), (422, text));
        }
    }
    running.end();
}

#[test]
fn it_tells_what_it_does_what_the_kernel_holds_and_that_it_is_well() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 7, Duration::from_secs(60));
    scene.store_payload(&of, r#"{"id": "no number"}"#, Duration::from_secs(50));
    let running = Running::start(&mut scene, PRODUCER);
    let status = running.wait_for(&of, "all of them", |status| {
        status["last_errors_set"]["quarantined"] == 1
    });
    let changeset = &status["last_changeset_status"];
    assert_eq!(
        (&changeset["changes"], &changeset["failed"]),
        (&json!(8), &json!(1))
    );
    let whole = running.get("/status").with(200).json();
    assert_eq!(whole["kernel_mode"], "db");
    assert_eq!(whole["kafka_container_accessible"], true);
    assert!(whole["kafka_broker_information"]["brokers"][0].is_string());
    assert!(whole["kernel_last_check"].is_string());
    for nothing in ["kernel_last_check_error", "kafka_last_submission_error"] {
        assert!(whole[nothing].is_null(), "{whole}");
    }
    let topics = running.get("/topics").with(200).json();
    assert_eq!(topics, json!({ &of.realm: { "Person": { "count": 8 } } }));
    for path in [
        "/health",
        "/healthcheck",
        "/kernelcheck",
        "/kafkacheck",
        "/check-app/aether-kernel",
        "/check-app/kafka",
    ] {
        let answer = http::get(running.control, path).with(200);
        assert_eq!(answer.json(), json!({ "healthy": true }), "{path}");
    }
    http::get(running.control, "/check-app").with(200);
    http::get(running.control, "/livez").with(200);
    let ready = http::get(running.control, "/readyz");
    assert_eq!(ready.json(), json!({ "ready": true, "reasons": [] }));
    let label = format!("topic=\"{}\"", of.topic);
    let metric = |name: &str| running.metric(name, &[&label]);
    assert_eq!(metric("producer_published_total"), Some(7.0));
    assert_eq!(metric("producer_quarantined"), Some(1.0));
    assert_eq!(metric("producer_lag_seconds"), Some(0.0));
    assert!(metric("producer_position_seconds").expect("it stands somewhere") > 1.7e9);
    eventually("nothing waits", || {
        metric("producer_lag_entities").filter(|lag| *lag == 0.0)
    });
    assert_eq!(
        running.metric("producer_state", &[&label, "state=\"NORMAL\""]),
        Some(1.0)
    );
    assert_eq!(running.metric("producer_kafka_up", &[]), Some(1.0));
    running.end();
}

#[test]
fn what_waits_behind_an_open_transaction_is_told_with_how_long() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 5, Duration::from_secs(60));
    let running = Running::start(&mut scene, PRODUCER);
    running.wait_for(&of, "the first", |status| succeeded(status, 5));
    let mut application = scene.application();
    let mut open = application.transaction().expect("a server");
    open.execute("CREATE TABLE held_open ()", &[])
        .expect("an open transaction");
    eventually("it is held back", || {
        running
            .metric("producer_held_back_seconds", &[])
            .filter(|seconds| *seconds > 0.5)
    });
    scene.store(&of, 5, 3, Duration::ZERO);
    let label = format!("topic=\"{}\"", of.topic);
    eventually("three wait", || {
        let lag = running.metric("producer_lag_entities", &[&label]);
        lag.filter(|lag| *lag == 3.0)
    });
    open.rollback().expect("a server");
    running.wait_for(&of, "they are published", |status| succeeded(status, 3));
    running.end();
}

#[test]
fn without_the_credential_nothing_is_told_or_controlled_and_it_says_why() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 5, Duration::from_secs(60));
    let order = format!("/pause?realm={}&topic=Person", of.realm);
    let paths = ["/status", "/topics", &order, "/resume", "/rebuild"];
    scene.variable("PRODUCER_LISTEN", "127.0.0.1:0");
    let running = Running::of(scene.start(PRODUCER));
    for path in paths {
        let answer = running.get(path).with(403);
        assert!(answer.text().contains("PRODUCER_ADMIN_USER"), "{answer:?}");
    }
    http::get(running.control, "/health").with(200);
    running.end();
    let running = Running::start(&mut scene, PRODUCER);
    running.wait_for(&of, "it runs", |status| is(status, "NORMAL"));
    for path in paths {
        let answer = http::get(running.control, path).with(401);
        assert_eq!(answer.text(), "Bad Credentials");
    }
    assert!(is(&running.status(&of), "NORMAL"));
    running.end();
}

#[test]
fn a_realm_that_stands_still_and_a_kernel_that_is_away_are_told() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.set("produce-idle-limit-seconds", "1");
    scene.set("produce-types-interval-seconds", "1");
    let id = Uuid::from_u128(rand::random());
    let bad = scene.register("bad", id, "Bad", r#"{"type": "record"}"#);
    scene.store(&bad, 0, 10, Duration::from_secs(60));
    let running = Running::start(&mut scene, PRODUCER);
    let status = running.wait_for(&bad, "it fails", |status| is(status, "ERROR"));
    let error = status["last_errors_set"]["error"].as_str().expect("why");
    assert!(error.contains("no Avro schema"), "{error}");
    eventually("the realm is told", || {
        let answer = http::get(running.control, "/healthcheck");
        (answer.status == 500).then(|| assert!(answer.json()[&bad.realm].is_u64()))
    });
    let ready = http::get(running.control, "/readyz").with(503).json();
    let reason = ready["reasons"][0].as_str().expect("a reason");
    assert!(reason.contains(&bad.realm), "{reason}");
    let label = format!("topic=\"{}\"", bad.topic);
    assert!(running.metric("producer_errors_total", &[&label]) > Some(0.0));
    http::get(running.control, "/kernelcheck").with(200);

    scene.execute("ALTER VIEW kernel_schema_vw RENAME TO gone");
    eventually("the kernel is told", || {
        let status = running.get("/status").with(200).json();
        status["kernel_last_check_error"].is_string().then_some(())
    });
    eventually("the check says so", || {
        let answer = http::get(running.control, "/kernelcheck");
        (answer.status == 424).then_some(())
    });
    assert_eq!(running.metric("producer_kernel_up", &[]), Some(0.0));
    http::get(running.control, "/livez").with(200);
    running.end();
}

#[test]
fn the_environment_of_an_aether_producer_is_all_that_it_needs() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let of = scene.register("", Uuid::from_u128(rand::random()), "Person", PERSON);
    scene.store(&of, 0, 50, Duration::from_secs(60));
    let database = scene.database.clone();
    let port = database.port.to_string();
    let password = database.password.clone().unwrap_or_default();
    for (prefix, name) in [
        ("POSTGRES", "POSTGRES_DBNAME"),
        ("OFFSET_DB", "OFFSET_DB_NAME"),
    ] {
        scene.variable(&format!("{prefix}_HOST"), &database.host);
        scene.variable(&format!("{prefix}_PORT"), &port);
        scene.variable(&format!("{prefix}_USER"), &database.username);
        scene.variable(&format!("{prefix}_PASSWORD"), &password);
        scene.variable(name, &database.name);
    }
    let kafka = scene.kafka.clone();
    scene.variable("KAFKA_URL", &kafka);
    scene.variable("KAFKA_DEFAULT_TOPIC_REPLICAS", "1");
    scene.variable("SLEEP_TIME", "1");
    scene.variable("LOG_LEVEL", "INFO");
    let_in(&mut scene);
    let running = Running::of(scene.start_bare(PRODUCER));
    running.wait_for(&of, "all of them", |status| succeeded(status, 50));
    running.end();
    assert_eq!(scene.numbers(&of.topic), (0..50).collect::<Vec<_>>());
    let refused = scene.start_bare(&["run"]).ended();
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("run --only producer"), "{refused}");
}
