//! `run` with a kernel: what is published is archived by the same process.

use std::time::Duration;

use crate::controlled::{Running, eventually};
use crate::scene::{Scene, Type};
use crate::support::unique;

/// A kernel with ten entities, and an archive of the scene's own topics.
fn scene() -> Option<(Scene, Type)> {
    let mut scene = Scene::new()?;
    let of = scene.person();
    scene.store(&of, 0, 10, Duration::from_secs(60));
    let topics = format!("{}*", scene.realm);
    scene.variable("HOP_TOPICS", &topics);
    scene.variable("HOP_TOPIC_REFRESH_INTERVAL_SECONDS", "1");
    scene.variable("HOP_GROUPNAME", &format!("group-{}", unique()));
    Some((scene, of))
}

fn archived(running: &Running, of: &Type) -> Option<f64> {
    let label = format!("topic=\"{}\"", of.topic);
    running.metric("archive_messages_total", &[&label])
}

#[test]
fn what_the_producer_publishes_the_archiver_archives_and_one_signal_ends_both() {
    let Some((mut scene, of)) = scene() else {
        return;
    };
    let running = Running::start(&mut scene, &["run"]);
    eventually("the first message", || archived(&running, &of));
    scene.store(&of, 10, 10, Duration::ZERO);
    eventually("the second message", || {
        archived(&running, &of).filter(|count| *count == 2.0)
    });
    running.get("/topics").with(200);
    running.process.signal("TERM");
    let ended = running.process.ended().clean();
    assert!(ended.stdout.contains(&of.topic), "{ended}");
}

#[test]
fn until_eos_publishes_what_is_new_and_archives_it_and_ends() {
    let Some((scene, of)) = scene() else {
        return;
    };
    let run = || {
        let ended = scene.run(&["run", "--until-eos", "--json"]).clean();
        ended.summary().archived
    };
    assert_eq!(run(), 1);
    assert_eq!(run(), 0);
    scene.store(&of, 10, 5, Duration::from_secs(1));
    scene.settle();
    assert_eq!(run(), 1);
    assert_eq!(scene.numbers(&of.topic), (0..15).collect::<Vec<_>>());
}

#[test]
fn a_loop_is_left_out_where_that_is_said() {
    let Some((mut scene, of)) = scene() else {
        return;
    };
    // No topic is there that the producer would have made: that is said.
    let ended = scene.run(&["run", "--until-eos", "--json", "--without", "producer"]);
    assert_eq!(ended.code, Some(1), "{ended}");
    assert_eq!(ended.summary().archived, 0);
    let running = Running::start(&mut scene, &["run", "--without", "archiver"]);
    running.wait_for(&of, "it publishes", |status| {
        status["last_changeset_status"]["succeeded"] == 10
    });
    assert_eq!(archived(&running, &of), None);
    running.end();
}

#[test]
fn when_the_archiver_fails_for_good_the_producer_is_ended_and_the_exit_says_so() {
    let Some((mut scene, of)) = scene() else {
        return;
    };
    let running = Running::start(&mut scene, &["run"]);
    eventually("the first message", || archived(&running, &of));
    scene.execute("DROP TABLE messages CASCADE");
    scene.store(&of, 10, 10, Duration::ZERO);
    let ended = running.process.ended();
    assert_eq!(ended.code, Some(3), "{ended}");
    assert!(ended.stderr.contains("the archiver has failed"), "{ended}");
    let last = ended.stderr.lines().last().expect("a line");
    assert!(last.starts_with("error: archiver: "), "{ended}");
    // What was published is published once, and the next one goes on.
    scene.settle();
    scene.run(&["produce"]).clean();
    assert_eq!(scene.numbers(&of.topic), (0..20).collect::<Vec<_>>());
}
