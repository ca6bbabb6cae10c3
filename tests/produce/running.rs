//! What the loop promises while it runs.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use archive_ingest::commands::open::{self, Publishing};
use archive_ingest::produce::{Control, Refused, State, TypeStatus};
use archive_ingest::shutdown::{self, Trigger};
use rand::Rng;
use uuid::Uuid;

use crate::scene::{PERSON, Scene, Type};

/// An instance of the loop.
struct Instance {
    control: Control,
    trigger: Option<Trigger>,
    thread: Option<JoinHandle<()>>,
}

impl Instance {
    fn start(scene: &Scene) -> Self {
        let Publishing { producer, .. } = open::publishing(&scene.config()).expect("services");
        let control = producer.control();
        let (trigger, shutdown) = shutdown::signal();
        let thread = thread::spawn(move || producer.run(&shutdown));
        Self {
            control,
            trigger: Some(trigger),
            thread: Some(thread),
        }
    }

    fn status(&self, of: &Type) -> Option<TypeStatus> {
        let types = self.control.snapshot().types;
        types
            .into_iter()
            .find(|one| one.topic == of.topic && one.id.schema_id == of.schema_id)
    }

    fn wait_for(&self, of: &Type, what: &str, is_so: impl Fn(&TypeStatus) -> bool) -> TypeStatus {
        eventually(what, || self.status(of).filter(|status| is_so(status)))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let (Some(trigger), Some(thread)) = (self.trigger.take(), self.thread.take()) {
            trigger.shut_down();
            thread.join().expect("it ends in good order");
        }
    }
}

fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn assert_each_once(mut numbers: Vec<u64>, count: u64) {
    numbers.sort_unstable();
    assert!(
        numbers == (0..count).collect::<Vec<_>>(),
        "{} of {count}",
        numbers.len()
    );
}

#[test]
fn types_are_published_as_they_come_and_paused_resumed_and_rebuilt_as_ordered() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.set("produce-types-interval-seconds", "1");
    let of = scene.person();
    scene.store(&of, 0, 100, Duration::from_secs(60));
    let instance = Instance::start(&scene);
    let status = instance.wait_for(&of, "the first 100", |one| one.published == 100);
    assert_eq!(status.state, State::Normal);
    let change = status.last_changeset.expect("a change");
    assert_eq!(
        (change.changes, change.succeeded, change.failed),
        (100, 100, 0)
    );
    // A type that comes while it runs.
    let other = scene.register("b", Uuid::from_u128(rand::random()), "Other", PERSON);
    scene.store(&other, 0, 10, Duration::from_secs(60));
    instance.wait_for(&other, "the new type", |one| one.published == 10);
    let control = &instance.control;
    assert!(matches!(
        control.pause("nowhere", "Person"),
        Err(Refused::NoRealm(_))
    ));
    assert!(matches!(
        control.pause(&of.realm, "Nobody"),
        Err(Refused::NoType { .. })
    ));
    assert!(matches!(
        control.resume(&of.realm, "Person"),
        Err(Refused::State(State::Normal))
    ));
    assert_eq!(
        control.pause(&of.realm, "Person").expect("allowed"),
        State::Paused
    );
    assert!(matches!(
        control.pause(&of.realm, "Person"),
        Err(Refused::State(State::Paused))
    ));
    scene.store(&of, 100, 100, Duration::ZERO);
    scene.store(&other, 10, 10, Duration::ZERO);
    instance.wait_for(&other, "the others go on", |one| one.published == 20);
    assert_eq!(instance.status(&of).expect("known").published, 100);
    control.resume(&of.realm, "Person").expect("allowed");
    instance.wait_for(&of, "what came meanwhile", |one| one.published == 200);
    assert_each_once(scene.numbers(&of.topic), 200);
    control.rebuild(&of.realm, "Person").expect("allowed");
    instance.wait_for(&of, "the rebuild is over", |one| one.state == State::Paused);
    control.resume(&of.realm, "Person").expect("allowed");
    instance.wait_for(&of, "all of them again", |one| one.published == 400);
    assert_each_once(scene.numbers(&of.topic), 200);
}

#[test]
fn a_second_instance_takes_over_within_seconds_and_sends_nothing_twice() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let of = scene.person();
    scene.store(&of, 0, 1000, Duration::from_secs(60));
    let first = Instance::start(&scene);
    first.wait_for(&of, "the first works", |one| one.published == 1000);
    let second = Instance::start(&scene);
    let waiting = second.wait_for(&of, "the second waits", |_| true);
    assert!(!waiting.is_own);
    scene.store(&of, 1000, 1000, Duration::ZERO);
    first.wait_for(&of, "the first goes on", |one| one.published == 2000);
    drop(first);
    let dead = Instant::now();
    scene.store(&of, 2000, 1000, Duration::ZERO);
    second.wait_for(&of, "the second takes over", |one| one.published == 1000);
    eprintln!("taken over after {:.1?}", dead.elapsed());
    assert_each_once(scene.numbers(&of.topic), 3000);
}

#[test]
fn an_entity_that_turns_up_late_is_found_by_looking_back() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.set("produce-look-back-interval-seconds", "1");
    let of = scene.person();
    scene.store(&of, 0, 100, Duration::from_secs(10));
    let instance = Instance::start(&scene);
    instance.wait_for(&of, "the first 100", |one| one.published == 100);
    scene.store(&of, 100, 3, Duration::from_secs(120));
    let status = instance.wait_for(&of, "the late ones", |one| one.late == 3);
    assert_eq!(status.published, 103);
    // Behind what was read, and not behind what was published.
    scene.store(&of, 103, 3, Duration::from_secs(5));
    instance.wait_for(&of, "those too", |one| one.published == 106);
    assert_each_once(scene.numbers(&of.topic), 106);
}

#[test]
fn a_schema_that_is_none_stops_its_own_type_only_and_says_why() {
    let Some(scene) = Scene::new() else {
        return;
    };
    let bad = scene.register(
        "",
        Uuid::from_u128(rand::random()),
        "Bad",
        r#"{"type": "record"}"#,
    );
    scene.store(&bad, 0, 10, Duration::from_secs(60));
    let good = scene.person();
    scene.store(&good, 0, 10, Duration::from_secs(60));
    let instance = Instance::start(&scene);
    instance.wait_for(&good, "the good one", |one| one.published == 10);
    let status = instance.wait_for(&bad, "the bad one", |one| one.state == State::Error);
    let error = status.last_error.expect("a reason").cause;
    assert!(error.contains("no Avro schema"), "{error}");
    scene.execute(&format!(
        "UPDATE kernel_schema SET definition = '{PERSON}', revision = '2' WHERE name = 'Bad'"
    ));
}

/// Five types, each many readings behind: one far ahead of the others, one of
/// two realms' schema, one that cannot be published for as long as its schema is
/// none, one that is paused on the way.
#[test]
fn types_that_are_behind_together_are_each_published_once_and_in_order() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.set("produce-fetch-bytes", "20000");
    scene.set("produce-retry-pause-seconds", "1");
    let shared = Uuid::from_u128(rand::random());
    let near = ["a", "b", "c"].map(|realm| scene.register(realm, shared, "Person", PERSON));
    let ahead = scene.person();
    let bad = scene.register(
        "",
        Uuid::from_u128(rand::random()),
        "Bad",
        r#"{"type": "x"}"#,
    );
    let (count, day) = (4000, Duration::from_secs(86_400));
    for first in (0..count).step_by(100) {
        for of in near.iter().chain([&bad]) {
            scene.store(of, first, 100, 2 * day);
        }
        scene.store(&ahead, first, 100, day / 2);
    }
    let instance = Instance::start(&scene);
    let paused = &near[1];
    let (realm, name) = (&paused.realm, "Person");
    instance.wait_for(paused, "it has begun", |status| status.published > 0);
    eventually("it is paused", || instance.control.pause(realm, name).ok());
    for of in [&near[0], &near[2], &ahead] {
        instance.wait_for(of, "all of it", |status| status.published == count);
    }
    instance.wait_for(&bad, "its schema is none", |status| {
        status.state == State::Error
    });
    eventually("it is resumed", || {
        instance.control.resume(realm, name).ok()
    });
    scene.execute(&format!(
        "UPDATE kernel_schema SET definition = '{PERSON}', revision = '2' WHERE name = 'Bad'"
    ));
    for of in [paused, &bad] {
        instance.wait_for(of, "all of it", |status| status.published == count);
    }
    drop(instance);
    for of in near.iter().chain([&ahead, &bad]) {
        let numbers = scene.numbers(&of.topic);
        assert!(numbers.is_sorted(), "in the order of their stamps");
        assert_each_once(numbers, count);
    }
}

/// Two programs, of which one is killed at random and started again, and another
/// comes and goes.
#[test]
fn programs_that_are_killed_and_take_over_from_each_other_publish_everything_once() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    // Some twenty entities, so that types are behind, and read together.
    scene.set("produce-fetch-bytes", "5000");
    let shared = Uuid::from_u128(rand::random());
    let types = ["a", "b", "c"].map(|realm| scene.register(realm, shared, "Person", PERSON));
    let (mut stored, mut kills) = (0, vec![]);
    for round in 0..6 {
        let first = scene.start(&["run", "--only", "producer"]);
        let second = (round % 2 == 1).then(|| scene.start(&["run", "--only", "producer"]));
        let end = Instant::now() + Duration::from_millis(rand::rng().random_range(500..4000));
        while Instant::now() < end {
            for of in &types {
                scene.store(of, stored, 50, Duration::from_millis(50));
            }
            stored += 50;
            thread::sleep(Duration::from_millis(20));
        }
        first.kill();
        if let Some(second) = second {
            second.signal("TERM");
            assert_eq!(second.ended().code, Some(0));
        }
        kills.push(stored);
    }
    scene.settle();
    scene.run(&["produce"]).clean();
    eprintln!("stored at each kill: {kills:?}");
    for of in &types {
        let numbers = scene.numbers(&of.topic);
        assert!(numbers.is_sorted(), "in the order of their stamps");
        assert_each_once(numbers, stored);
    }
}
