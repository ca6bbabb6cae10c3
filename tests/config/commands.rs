use archive_ingest::commands::config::{check_json, check_table, effective, show_json, show_table};

use crate::scene::Scene;

const BROKEN: &str = "[log]\nlog-level = \"loud\"\n\
                      [old-db]\ndb-type = \"aws\"\ndb-secret-name = \"s\"\n\
                      [bad-store]\nstore-type = \"S3\"\nstore-log-every = -1\nstore-endpoint-url = 5\n\
                      [my-hop]\nhop-type = \"kafka\"\nhop-hostname = \"x\"\nhop-local-auth = \"/nowhere\"\n\
                      hop-tpye = 1\n";

#[test]
fn config_check_lists_all_errors_of_all_stanzas() {
    let scene = Scene::of(BROKEN).file("veto.list", "a b\nfine\nc d\n");
    let inspection = scene.inspect();
    let errors: Vec<_> = inspection
        .all_errors()
        .map(|error| scene.shown(error))
        .collect();
    let starts = [
        "veto.list:1: ",
        "veto.list:3: ",
        "housekeeping.toml:2: log-level in [log] must be",
        "housekeeping.toml:9: store-endpoint-url in [bad-store] must be text, not 5",
        "housekeeping.toml:8: store-log-every in [bad-store] must be",
        "housekeeping.toml:14: unknown key hop-tpye in [my-hop]: the nearest known key is hop-type",
    ];
    assert_eq!(errors.len(), starts.len(), "{errors:#?}");
    for (error, start) in errors.iter().zip(starts) {
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn config_check_reports_what_is_not_built_in_unchosen_stanzas_as_notes() {
    let scene = Scene::of(BROKEN);
    let inspection = scene.inspect();
    let notes = |name: &str| {
        let stanza = inspection
            .stanzas
            .iter()
            .find(|s| s.stanza == name)
            .unwrap();
        assert!(!stanza.chosen);
        stanza.notes.clone()
    };
    let old = notes("old-db");
    assert_eq!(old.len(), 2, "{old:?}");
    assert!(
        old[0].contains("db-secret-name in [old-db] is known but not built yet"),
        "{old:?}"
    );
    assert!(
        old[1].contains("db-type = \"aws\" in [old-db] is known but not built yet"),
        "{old:?}"
    );
    assert_eq!(
        notes("my-hop"),
        ["hop-local-auth is read only when the stanza is chosen"]
    );
}

#[test]
fn config_check_prints_a_line_per_stanza() {
    let table = check_table(&Scene::of(BROKEN).inspect());
    for line in [
        "log log yes 1 error",
        "bad-store store no 2 errors",
        "mock-hop hop yes ok",
        "file-db database yes ok",
    ] {
        let found = table.lines().any(|row| {
            row.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .starts_with(line)
        });
        assert!(found, "{line} in\n{table}");
    }
}

#[test]
fn config_check_gives_one_json_document() {
    let document = check_json(&Scene::of(BROKEN).inspect());
    assert_eq!(document["ok"], false);
    assert_eq!(document["stanzas"][0]["stanza"], "log");
    assert_eq!(
        document["stanzas"][0]["errors"].as_array().unwrap().len(),
        1
    );
    let document = check_json(&Scene::empty().inspect());
    assert_eq!(document["ok"], true);
    assert_eq!(document["configuration"], "the built-in configuration");
}

#[test]
fn config_check_reports_a_chosen_stanza_that_is_not_there() {
    let scene = Scene::of("").hop("hop-prod");
    let errors: Vec<_> = scene
        .inspect()
        .all_errors()
        .map(|e| scene.shown(e))
        .collect();
    assert_eq!(
        errors,
        [
            "-H hop-prod: there is no such stanza in housekeeping.toml: the nearest is mock-hop (to choose from: mock-hop)"
        ]
    );
}

#[test]
fn config_show_says_where_each_value_comes_from() {
    let mut scene = Scene::of("[h]\nhop-type = \"kafka\"\nhop-hostname = \"x\"\n")
        .hop("h")
        .env("HOP_PORT", "9093")
        .env("HOP_PASSWORD", "hunter2")
        .env("HOP_PROPERTIES", "ssl.key.password=hunter2");
    scene.selection.until_eos = true;
    let shown = effective(&scene.selection, scene.environment()).unwrap();
    let document = show_json(&shown);
    let file = format!("{}:3", scene.path("housekeeping.toml").display());
    let hop = &document["hop"]["keys"];
    for (key, value, from) in [
        ("hop-hostname", serde_json::json!("x"), file.as_str()),
        (
            "hop-port",
            serde_json::json!(9093),
            "environment variable HOP_PORT",
        ),
        (
            "hop-until-eos",
            serde_json::json!(true),
            "command line --until-eos",
        ),
        ("hop-topics", serde_json::json!(["*"]), "default"),
        ("hop-test-topic", serde_json::Value::Null, "default"),
        (
            "hop-password",
            serde_json::json!("[set]"),
            "environment variable HOP_PASSWORD",
        ),
        ("hop-username", serde_json::json!("[not set]"), "default"),
    ] {
        assert_eq!(hop[key]["value"], value, "{key}");
        assert_eq!(hop[key]["from"], from, "{key}");
    }
    assert_eq!(document["database"]["keys"]["db-path"]["from"], "built in");
    let table = show_table(&shown);
    assert!(table.contains("hop-port"), "{table}");
    assert!(!format!("{document}{table}").contains("hunter2"));
}

#[test]
fn config_show_tells_the_batch_size_that_holds() {
    let scene = Scene::empty().env("ARCHIVE_MEMORY_BYTES", "8388608");
    let shown = effective(&scene.selection, scene.environment()).unwrap();
    let batch = &show_json(&shown)["archive"]["keys"]["archive-batch-bytes"];
    assert_eq!(batch["value"], 4_194_304);
}
