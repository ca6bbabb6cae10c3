//! What `config check` says of the plugin's file.

use archive_ingest::config::{Becomes, Section};

use crate::options::FILE;
use crate::scene::Scene;
use crate::support::program::Process;

/// What the options that have no effect are told with.
fn reasons() -> Vec<&'static str> {
    let all = Section::ALL.into_iter().flat_map(Section::options);
    all.filter_map(|option| match option.becomes {
        Becomes::Nothing(why) => Some(why),
        _ => None,
    })
    .collect()
}

#[test]
fn config_check_says_of_each_option_without_effect_why_it_has_none() {
    let mut scene = Scene::on("127.0.0.1:1");
    let file = scene
        .write("plugins-config.yaml", FILE)
        .display()
        .to_string();
    let check = |scene: &Scene, more: &[&str]| {
        let arguments = [&["config", "check"][..], more].concat();
        Process::start(scene.command_of(&arguments)).ended()
    };
    let by_option = check(&scene, &["--plugin-config", &file]).clean();
    scene.set("bridge-plugin-config", &format!("{file:?}"));
    let by_stanza = check(&scene, &["--bridge", "bridge"]).clean();
    for ended in [&by_option, &by_stanza] {
        let told: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!(told.len(), reasons().len() + 1, "{ended}");
        for (line, why) in told.iter().zip(reasons()) {
            let place = format!("warning: {file}: kafka_events › ");
            assert!(line.starts_with(&place) && line.ends_with(why), "{line}");
        }
        // The scene names a group of its own.
        let last = "group_id has no effect: bridge-groupname goes before it";
        assert!(told[told.len() - 1].ends_with(last), "{ended}");
        let row = ended.stdout.lines().find(|row| row.starts_with("bridge "));
        let row = row.expect("a line of the stanza");
        assert!(row.contains("ok") && row.contains(" warnings"), "{row}");
        assert!(!format!("{ended}").contains("<password>"), "{ended}");
    }
    let json = check(&scene, &["--json", "--bridge", "bridge"]).clean();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("one document");
    let stanzas = json["stanzas"].as_array().expect("a list");
    let of_bridge = stanzas.iter().find(|stanza| stanza["kind"] == "bridge");
    let warnings = of_bridge.expect("it is chosen")["warnings"].as_array();
    assert_eq!(warnings.map(Vec::len), Some(reasons().len() + 1));
    // Whoever does not choose it hears how to.
    let unchosen = check(&scene, &[]).clean();
    assert!(unchosen.stderr.is_empty(), "{unchosen}");
    let note = "bridge-plugin-config is read only when the stanza is chosen: --bridge bridge";
    assert!(unchosen.stdout.contains(note), "{unchosen}");
}

#[test]
fn config_check_refuses_a_wrong_file_of_the_plugin_with_one_line() {
    let scene = Scene::on("127.0.0.1:1");
    for (text, why) in [
        (None, "No such file or directory"),
        (
            Some("kafka_events:\n  client: a\n"),
            "client: there is no such option: the nearest is client_id",
        ),
        (Some("- a\n"), "it must be a table of plugins"),
        (
            Some("kafka_queue:\n  events:\n    topic_maps: {a: $b}\n"),
            "names \"b\"",
        ),
    ] {
        let file = match text {
            Some(text) => scene.write("plugins-config.yaml", text),
            None => scene.write("x", "").with_file_name("nowhere.yaml"),
        };
        let file = file.display().to_string();
        let arguments = ["config", "check", "--plugin-config", &file];
        let ended = Process::start(scene.command_of(&arguments)).ended();
        assert_eq!(ended.code, Some(2), "{ended}");
        let told: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!(told.len(), 1, "{ended}");
        let start = format!("error: plugin configuration {file}: ");
        assert!(
            told[0].starts_with(&start) && told[0].contains(why),
            "{ended}"
        );
    }
}

#[test]
fn what_the_form_or_the_command_line_makes_void_is_told() {
    let mut scene = Scene::on("127.0.0.1:1");
    let file = "kafka_queue:\n  bootstrap_servers: a\n  events:\n    topic_maps: {a: b}\n  \
                inbound:\n    topics: [acapy-inbound-a]\n  outbound:\n    topic: c\n";
    let file = scene
        .write("plugins-config.yaml", file)
        .display()
        .to_string();
    let told = |scene: &Scene, hop: &[&str]| {
        let arguments = [&["config", "check", "--plugin-config", &file][..], hop].concat();
        let ended = Process::start(scene.command_of(&arguments)).ended().clean();
        ended.stderr
    };
    let plain = told(&scene, &["-H", "kafka"]);
    for option in ["events › topic_maps", "outbound › topic"] {
        let why = format!("{option} has no effect: bridge-messages is plain");
        assert!(plain.contains(&why), "{plain}");
    }
    assert!(
        plain.contains("bootstrap_servers has no effect: -H kafka"),
        "{plain}"
    );
    assert_eq!(plain.lines().count(), 3, "{plain}");
    scene.set("bridge-messages", "\"enveloped\"");
    assert_eq!(told(&scene, &[]), "");
}
