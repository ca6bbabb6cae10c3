//! Orders while two instances run: every instance gives the same answer, and a
//! rebuild is carried out once.

use std::thread;
use std::time::Duration;

use crate::controlled::{PRODUCER, Running, eventually, is, succeeded};
use crate::scene::{Scene, Type};

/// Two instances; the first publishes the type, of which 100 entities are on the
/// topic.
struct Pair {
    scene: Scene,
    of: Type,
    owner: Running,
    other: Running,
}

impl Pair {
    fn start() -> Option<Self> {
        let mut scene = Scene::new()?;
        let of = scene.person();
        scene.store(&of, 0, 100, Duration::from_secs(60));
        let owner = Running::start(&mut scene, PRODUCER);
        owner.wait_for(&of, "the first 100", |status| succeeded(status, 100));
        let other = Running::start(&mut scene, PRODUCER);
        other.wait_for(&of, "the other instance knows the type", |status| {
            is(status, "NORMAL")
        });
        Some(Self {
            scene,
            of,
            owner,
            other,
        })
    }

    fn order(&self, at: &Running, verb: &str) -> u16 {
        let path = format!("/{verb}?realm={}&topic=Person", self.of.realm);
        at.curl(&path).0
    }

    fn both_say(&self, word: &str) {
        for instance in [&self.owner, &self.other] {
            instance.wait_for(&self.of, word, |status| is(status, word));
        }
    }
}

#[test]
fn both_instances_give_the_same_answer() {
    let Some(pair) = Pair::start() else { return };
    let (owner, other) = (&pair.owner, &pair.other);
    for (asked, second) in [(other, owner), (owner, other), (other, other)] {
        assert_eq!(pair.order(asked, "resume"), 500);
        assert_eq!(pair.order(asked, "pause"), 200);
        assert_eq!(pair.order(second, "pause"), 500);
        pair.both_say("PAUSED");
        assert_eq!(pair.order(second, "resume"), 200);
        assert_eq!(pair.order(asked, "resume"), 500);
        pair.both_say("NORMAL");
    }
    assert_eq!(pair.order(other, "pause"), 200);
    pair.both_say("PAUSED");
    pair.scene.store(&pair.of, 100, 10, Duration::ZERO);
    pair.scene.settle();
    assert_eq!(pair.scene.numbers(&pair.of.topic).len(), 100);
    assert_eq!(pair.order(other, "resume"), 200);
    owner.wait_for(&pair.of, "what came meanwhile", |one| succeeded(one, 10));
    pair.owner.end();
    pair.other.end();
}

#[test]
fn rebuild_ordered_at_the_other_instance_is_not_repeated_after_failover() {
    let Some(pair) = Pair::start() else { return };
    assert_eq!(pair.order(&pair.other, "rebuild"), 200);
    pair.both_say("PAUSED");
    assert_eq!(pair.order(&pair.other, "resume"), 200);
    let Pair {
        scene,
        of,
        owner,
        other,
    } = pair;
    owner.wait_for(&of, "all of them again", |status| succeeded(status, 100));
    owner.process.signal("KILL");
    scene.store(&of, 100, 10, Duration::ZERO);
    eventually("the other instance publishes", || {
        (other.published(&of) == 10).then_some(())
    });
    assert!(is(&other.status(&of), "NORMAL"));
    assert_eq!(scene.numbers(&of.topic), (0..110).collect::<Vec<_>>());
    let standing = scene.positions().all().expect("positions").remove(0).1;
    assert_eq!(standing.generation, 1, "one rebuild");
    other.end();
}

#[test]
fn resume_and_rebuild_at_the_same_moment_are_carried_out_in_one_order() {
    let Some(pair) = Pair::start() else { return };
    for generation in 1..=3 {
        assert_eq!(pair.order(&pair.owner, "pause"), 200);
        let resumed = thread::scope(|scope| {
            let rebuilt = scope.spawn(|| pair.order(&pair.other, "rebuild"));
            let resumed = pair.order(&pair.owner, "resume");
            assert_eq!(rebuilt.join().expect("an answer"), 200);
            resumed
        });
        // Refused after the rebuild was ordered; before it, carried out.
        assert!([200, 500].contains(&resumed), "{resumed}");
        let is_done = |instance: &Running| {
            let standing = pair.scene.positions().all().expect("positions").remove(0).1;
            let is_paused = is(&instance.status(&pair.of), "PAUSED");
            (standing.generation == generation && is_paused).then_some(())
        };
        eventually("the rebuild is done", || is_done(&pair.owner));
        eventually("the other instance knows", || is_done(&pair.other));
        assert_eq!(pair.order(&pair.other, "resume"), 200);
        eventually("all of them again", || {
            let there = pair.scene.topic_setting(&pair.of.topic, "retention.ms");
            there.and_then(|_| (pair.scene.numbers(&pair.of.topic).len() == 100).then_some(()))
        });
    }
    pair.owner.end();
    pair.other.end();
}
