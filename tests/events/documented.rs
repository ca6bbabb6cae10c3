//! Every command of docs/events.md, typed as it stands there.

use serde_json::json;

use super::scene::{READING, READING_2, Scene};
use crate::support::Process;
use crate::support::shell_blocks::commands;

#[test]
fn the_commands_of_the_page_about_events_work() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    let place = &mut scene.place;
    // The shipped stanzas, at the test's services.
    if place.use_postgres().is_none() || place.use_s3().is_none() {
        return;
    }
    place.export_stanzas();
    place.variable("STORE_BACKUP_BUCKET", "");
    place.write("reading.avsc", READING);
    place.write("newer.avsc", READING_2);
    place.write("station.avsc", "\"string\"");
    let reading = json!({"station": "Elbe", "level": 7});
    place.write("readings.jsonl", &format!("{reading}\n{reading}\n"));
    let keyed = json!({"key": "Elbe", "value": reading});
    place.write("keyed.jsonl", &format!("{keyed}\n"));
    let topics = ["courses", "readings", "keyed", "test-topic"];
    let topics = topics.map(|name| (name, scene.broker.create(name, 1)));
    let mut ran = 0;
    for command in commands(include_str!("../../docs/events.md")) {
        if command.contains(" -K ") {
            // tests/events/entities.rs runs it.
            continue;
        }
        // Topics of nobody else.
        let mut line = command.to_owned();
        for (name, own) in &topics {
            line = line.replace(&format!("--topic {name} "), &format!("--topic {own} "));
        }
        if line.contains(" event ") && !line.contains("--topic") {
            line = format!("{line} --topic {}", topics[3].1);
        }
        if !line.contains("-H ") && line.contains(" event ") {
            line = format!("env -i PATH=\"$PATH\" {line}");
        }
        let ended = Process::start(scene.place.shell(&line)).ended().clean();
        assert!(!ended.stdout.is_empty(), "{line}");
        ran += 1;
    }
    assert_eq!(ran, 12, "commands");
}
