//! The plugin's file, read as it is.

use std::path::Path;

use archive_ingest::config::{Becomes, PluginFile, Section, plugin_options_table};

use crate::scene::Scene;
use crate::support::program::Process;
use crate::support::skip::service;

/// Every option of the plugin's template, uncommented.
pub const FILE: &str = r#"
other_plugin:
  whatever: [1, 2]
kafka_events:

  # General #
  bootstrap_servers: "kafka"
  client_id: "aca-py"
  request_timeout_ms: 40000
  connections_max_idle_ms: 540000
  api_version: "auto"

  ## Security ##
  security_protocol: "SASL_PLAINTEXT"
  ssl_context: "<ssl_context>"
  sasl_mechanism: "PLAIN"
  sasl_plain_password: "<password>"
  sasl_plain_username: "<username>"
  sasl_kerberos_service_name: "<service_name>"
  sasl_kerberos_domain_name: "<domain_name>"
  sasl_oauth_token_provider: "<token>"

  consumer-config:
    group_id: "kafka_events"
    fetch_max_wait_ms: 500
    fetch_max_bytes: 52428800 # 50 * 1024 * 1024 = 50MB
    fetch_min_bytes: 1
    max_partition_fetch_bytes: 10485761
    auto_offset_reset: "latest"
    enable_auto_commit: True
    auto_commit_interval_ms: 5000
    check_crcs: True
    metadata_max_age_ms: 300000
    max_poll_interval_ms: 300000
    rebalance_timeout_ms: 60000
    session_timeout_ms: 10000
    heartbeat_interval_ms: 3000
    consumer_timeout_ms: 200
    max_poll_records: 100

  producer-config:
    metadata_max_age_ms: 300000
    compression_type: gzip
    max_batch_size: 16384
    max_request_size: 1048576,
    linger_ms: 0,
    send_backoff_ms: 100 # 0'1 Seconds
"#;

fn read(text: &str) -> Result<PluginFile, String> {
    PluginFile::parse(text, "plugins.yaml").map_err(|error| error.to_string())
}

#[test]
fn every_option_becomes_a_property_or_is_answered_with_a_warning_that_says_why() {
    let file = read(FILE).expect("a sound file");
    for section in Section::ALL {
        let properties = match section {
            Section::General => &file.general,
            Section::Consumer => &file.consumer,
            Section::Producer => &file.producer,
        };
        for option in section.options() {
            assert!(FILE.contains(&format!(" {}:", option.name)), "{option:?}");
            let place = match section.key() {
                Some(key) => format!("{key} › {}", option.name),
                None => option.name.to_owned(),
            };
            let warned = file
                .warnings
                .iter()
                .find(|warning| warning.contains(&format!("{place} ")));
            match option.becomes {
                Becomes::Property(name) => {
                    assert!(properties.contains_key(name), "{place}: {properties:?}");
                    assert_eq!(warned, None, "{place}");
                }
                Becomes::Nothing(why) => {
                    assert!(warned.is_some_and(|w| w.ends_with(why)), "{place}")
                }
                Becomes::Bridge(_) => assert_eq!(warned, None, "{place}"),
            }
        }
    }
    assert_eq!(file.bootstrap_servers.as_deref(), Some("kafka"));
    assert_eq!(file.group.as_deref(), Some("kafka_events"));
    assert_eq!(file.from_beginning, Some(false));
    assert_eq!(file.producer["message.max.bytes"], "1048576");
    assert_eq!(file.consumer["check.crcs"], "true");
    assert_eq!(file.general["security.protocol"], "sasl_plaintext");
    assert!(!format!("{file:?}").contains("<password>"));
}

#[test]
fn librdkafka_takes_every_property_in_both_directions() {
    let Some(kafka) = service("TEST_KAFKA_SASL_PLAINTEXT") else {
        return;
    };
    let (Some(user), Some(password)) = (service("TEST_KAFKA_USER"), service("TEST_KAFKA_PASSWORD"))
    else {
        return;
    };
    let text = FILE
        .replace("\"kafka\"", &format!("\"{kafka}\""))
        .replace("<username>", &user)
        .replace("<password>", &password);
    let receiver = crate::receiver::Receiver::start();
    let mut scene = Scene::on("nowhere");
    scene.set(
        "bridge-agent-url",
        &format!("\"http://{}\"", receiver.address),
    );
    scene.use_plugin_config(&text);
    let bridge = scene.start_with_agent();
    bridge.wait_for("ssl_context has no effect");
    let topic = format!("acapy-webhook-{}", crate::support::unique());
    let body = "{\"a\": 1}";
    scene
        .post(
            &format!("/topic/{}", topic.trim_start_matches("acapy-webhook-")),
            body,
        )
        .with(200);
    let values = scene
        .get(&format!("/consume?topic={topic}"))
        .with(200)
        .json();
    assert_eq!(values, serde_json::json!([{"a": 1}]));
}

#[test]
fn the_table_in_the_documentation_is_what_becomes_of_each_option() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bridge.md");
    let page = std::fs::read_to_string(page).expect("the documentation");
    let table = plugin_options_table();
    assert!(
        page.contains(&table),
        "docs/bridge.md must hold this table:\n\n{table}"
    );
}

#[test]
fn what_is_wrong_in_the_file_is_told_in_one_line() {
    for (text, why) in [
        (
            "kafka_events:\n  bootstrap_server: a\n",
            "there is no such option: the nearest is bootstrap_servers",
        ),
        (
            "kafka_events:\n  consumer-config:\n    linger_ms: 1\n",
            "kafka_events › consumer-config › linger_ms: there is no such option",
        ),
        (
            "kafka_events:\n  consumer-config:\n    fetch_max_bytes: much\n",
            "it must be a whole number",
        ),
        (
            "kafka_events:\n  sasl_mechanism: GSSAPI\n",
            "it must be PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
        ),
        (
            "kafka_events:\n  security_protocol: TLS\n",
            "it must be PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
        ),
        (
            "kafka_events:\n  sasl_mechanism: \"PLAIN\",\n",
            "not valid YAML",
        ),
        ("kafka_events: 1\n", "it must be a table"),
        ("kafka_events:\n  client_id: [a]\n", "it must be one value"),
        ("kafka_events: {}\nkafka_queue: {}\n", "remove one of them"),
        ("other: {}\n", "it has no section kafka_events"),
        ("[1]\n", "it must be a table of plugins"),
        (
            "kafka_events:\n  consumer-config:\n    auto_offset_reset: now\n",
            "it must be latest or earliest",
        ),
        (
            "kafka_queue:\n  events:\n    topic_maps:\n      \"acapy::(\": t\n",
            "kafka_queue › events › topic_maps: the pattern \"acapy::(\" is not a regular expression",
        ),
        (
            "kafka_queue:\n  events:\n    topic_maps:\n      \"acapy\": \"t-$wallet\"\n",
            "the template \"t-$wallet\" names \"wallet\"",
        ),
        (
            "kafka_queue:\n  outbound:\n    topic: \"a b\"\n",
            "kafka_queue › outbound › topic: \"a b\" is not the name of a topic",
        ),
        (
            "kafka_queue:\n  inbound:\n    topics: [a, \"b|(\"]\n",
            "kafka_queue › inbound › topics: \"b|(\" is not the name of a topic",
        ),
        (
            "kafka_queue:\n  inbound:\n    topics: []\n",
            "it names no topic",
        ),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(why), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
    assert_eq!(read("").expect("nothing"), PluginFile::default());
    for nothing in [
        "kafka_events:\n",
        // As the plugin has it: without a map its own patterns hold.
        "kafka_events:\n  events:\n    topic_maps:\n",
        "kafka_events:\n  events:\n    topic_maps: {}\n",
        "kafka_events:\n  inbound:\n    topics:\n",
    ] {
        assert_eq!(read(nothing).expect("nothing"), PluginFile::default());
    }
}

#[test]
fn a_bridge_with_a_wrong_file_ends_with_2() {
    let mut scene = Scene::on("127.0.0.1:1");
    scene.use_plugin_config("kafka_events:\n  bootstrap_server: a\n");
    let ended = Process::start(scene.command()).ended();
    assert_eq!(ended.code, Some(2), "{ended}");
    assert!(ended.stderr.contains("bootstrap_servers"), "{ended}");
    let mut scene = Scene::on("127.0.0.1:1");
    scene.set("bridge-dead-letter-topic", "\"acapy-inbound-dead\"");
    let ended = Process::start(scene.command()).ended();
    assert_eq!(ended.code, Some(2), "{ended}");
    // Kafka's client would match nothing with these, without a word.
    for pattern in [r"acapy-inbound-\d+", "acapy-(?:inbound|in)-a"] {
        let mut scene = Scene::on("127.0.0.1:1");
        scene.set("bridge-inbound-topics", &format!("'{pattern}'"));
        let ended = Process::start(scene.command()).ended();
        assert_eq!(ended.code, Some(2), "{ended}");
        assert!(ended.stderr.contains("POSIX"), "{ended}");
    }
}

#[test]
fn options_that_contradict_each_other_are_told_at_once() {
    let Some(kafka) = service("TEST_KAFKA") else {
        return;
    };
    let mut scene = Scene::on(&kafka);
    scene.set("bridge-agent-url", "\"http://127.0.0.1:1\"");
    scene.use_plugin_config(&format!(
        "kafka_events:\n  bootstrap_servers: \"{kafka}\"\n  consumer-config:\n    \
         session_timeout_ms: 400000\n    max_poll_interval_ms: 300000\n"
    ));
    let ended = Process::start(scene.command()).ended();
    assert_eq!(ended.code, Some(3), "{ended}");
    let error = ended
        .stderr
        .lines()
        .find(|line| line.starts_with("error: "));
    let error = error.expect("a line");
    assert!(error.contains("max.poll.interval.ms"), "{ended}");
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "(kafka_events:\n)?[ a-z_:{}\\[\\]0-9\n\"'&*!|>-]{0,80}") {
        let _ = PluginFile::parse(&text, "plugins.yaml");
    }
}
