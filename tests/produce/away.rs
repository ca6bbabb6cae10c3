//! Kafka goes away under a running producer, and comes back.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::controlled::{Running, eventually};
use crate::http;
use crate::scene::{Scene, Type};
use crate::support::OwnKafka;

/// Entities that are stored together.
const STEP: u64 = 20;

/// An application that stores entities for as long as it is let.
struct Application<'a> {
    scene: &'a Scene,
    of: &'a Type,
    is_over: AtomicBool,
    stored: AtomicU64,
}

impl Application<'_> {
    fn work(&self) {
        let mut client = self.scene.application();
        while !self.is_over.load(Ordering::Acquire) {
            let first = self.stored.load(Ordering::Acquire);
            self.scene
                .store_with(&mut client, self.of, first, STEP, Duration::ZERO);
            self.stored.store(first + STEP, Ordering::Release);
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn stored(&self) -> u64 {
        self.stored.load(Ordering::Acquire)
    }

    /// Waits until so many more are stored.
    fn stores(&self, more: u64) {
        let enough = self.stored() + more;
        eventually("entities", || (self.stored() >= enough).then_some(()));
    }
}

/// Lets an application end, also when what goes on beside it has failed.
struct End<'a>(&'a Application<'a>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

fn status(running: &Running) -> Value {
    running.get("/status").with(200).json()
}

/// Whether the realm is said to stand still.
fn is_idle(running: &Running, of: &Type) -> bool {
    let answer = http::get(running.control, "/healthcheck");
    match answer.status {
        200 => false,
        500 => answer.json()[&of.realm].is_u64(),
        other => panic!("{other}"),
    }
}

fn is_answered(running: &Running, path: &str, status: u16) -> Option<()> {
    (http::get(running.control, path).status == status).then_some(())
}

/// Everything is answered while Kafka is away, and says so.
fn assert_told(running: &Running, of: &Type, kafka: &str) {
    eventually("the check says so", || {
        is_answered(running, "/kafkacheck", 424)
    });
    eventually("it is not ready, and why", || {
        let answer = http::get(running.control, "/readyz");
        let reasons = (answer.status == 503).then(|| answer.json()["reasons"].to_string());
        reasons.filter(|reasons| reasons.contains(kafka))
    });
    eventually("the realm stands still", || {
        is_idle(running, of).then_some(())
    });
    let away = status(running);
    assert_eq!(away["kafka_container_accessible"], false, "{away}");
    assert_eq!(away["kafka_broker_information"], json!({ "brokers": [] }));
    assert_eq!(away["kernel_last_check_error"], Value::Null);
    assert_eq!(running.metric("producer_kafka_up", &[]), Some(0.0));
    assert_eq!(running.metric("producer_kernel_up", &[]), Some(1.0));
    for path in ["/livez", "/health", "/kernelcheck", "/check-app"] {
        http::get(running.control, path).with(200);
    }
    running.get("/topics").with(200);
}

fn assert_well(running: &Running, of: &Type) {
    eventually("Kafka is there", || {
        is_answered(running, "/kafkacheck", 200)
    });
    let ready = eventually("it is ready", || {
        let answer = http::get(running.control, "/readyz");
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(ready, json!({ "ready": true, "reasons": [] }));
    eventually("the realm goes on", || {
        (!is_idle(running, of)).then_some(())
    });
    let well = status(running);
    assert_eq!(well["kafka_container_accessible"], true, "{well}");
    assert_eq!(running.metric("producer_kafka_up", &[]), Some(1.0));
}

#[test]
fn while_kafka_is_away_that_is_told_and_what_came_meanwhile_is_published_once_afterwards() {
    let (Some(mut kafka), Some(mut scene)) = (OwnKafka::start(1), Scene::new()) else {
        return;
    };
    scene.kafka = kafka.address.clone();
    scene.set("produce-idle-limit-seconds", "2");
    let of = scene.person();
    // A type without an entity is looked for again half a minute later only.
    scene.store(&of, 0, STEP, Duration::from_secs(60));
    let running = Running::start(&mut scene, &["run", "--only", "producer"]);
    let application = Application {
        scene: &scene,
        of: &of,
        is_over: AtomicBool::new(false),
        stored: AtomicU64::new(STEP),
    };
    thread::scope(|scope| {
        scope.spawn(|| application.work());
        let _end = End(&application);
        eventually("the first", || (running.published(&of) > 0).then_some(()));
        assert_well(&running, &of);

        kafka.kill(0);
        assert_told(&running, &of, &kafka.address);
        eventually("what was not sent, and why", || {
            let told = status(&running)["kafka_last_submission_error"].clone();
            told.as_str().map(str::to_owned)
        });
        application.stores(STEP);
        kafka.begin(0);
        kafka.wait_for_nodes(1);
        assert_well(&running, &of);
        let before = running.published(&of);
        eventually("it goes on", || {
            (running.published(&of) > before).then_some(())
        });

        // This time it is there, and answers nothing.
        kafka.freeze(0);
        assert_told(&running, &of, &kafka.address);
        kafka.thaw(0);
        assert_well(&running, &of);
        application.stores(STEP);
    });
    let stored = application.stored();
    // Those of a transaction whose commit was lost are not counted.
    let mut numbers = eventually("all of them", || {
        let numbers = scene.numbers(&of.topic);
        (numbers.len() as u64 >= stored).then_some(numbers)
    });
    running.wait_for(&of, "it is well", |one| {
        one["operating_status"] == "TopicStatus.NORMAL"
    });
    running.end();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..stored).collect::<Vec<_>>());
}
