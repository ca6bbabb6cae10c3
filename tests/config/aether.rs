//! The environment of an existing Aether Producer means what it meant there.

use std::time::Duration;

use archive_ingest::config::{
    AetherConfig, Environment, HopKind, KernelKind, Mechanism, NamedBy, ProduceConfig, Protocol,
    SslMode,
};
use proptest::prelude::*;

use crate::scene::Scene;

const WHOLE: &[(&str, &str)] = &[
    ("KAFKA_URL", "kafka:29092"),
    ("POSTGRES_HOST", "kernel-db"),
    ("POSTGRES_DBNAME", "aether"),
    ("POSTGRES_USER", "reader"),
    ("POSTGRES_PASSWORD", "hunter2"),
    ("OFFSET_DB_HOST", "offset-db"),
    ("OFFSET_DB_NAME", "offsets"),
    ("OFFSET_DB_USER", "producer"),
    ("OFFSET_DB_PASSWORD", "hunter3"),
];

/// The whole environment with these over it; an empty value unsets.
fn environment(over: &[(&str, &str)]) -> Environment {
    Environment::from_variables(WHOLE.iter().chain(over).copied())
}

fn config(over: &[(&str, &str)]) -> AetherConfig {
    AetherConfig::of(&environment(over)).unwrap().unwrap()
}

fn config_with_file(over: &[(&str, &str)], text: &str) -> AetherConfig {
    let config = AetherConfig::of_texts(&environment(over), "settings.json", text);
    config.unwrap().unwrap()
}

#[track_caller]
fn refused(over: &[(&str, &str)], text: &str, line: &str) {
    let error = AetherConfig::of_texts(&environment(over), "settings.json", text).unwrap_err();
    assert_eq!(error.to_string(), line);
}

#[test]
fn an_environment_that_is_not_aethers_is_none() {
    let other = Environment::from_variables([("HOP_HOSTNAME", "x"), ("KAFKA_URL", "")]);
    assert_eq!(AetherConfig::of(&other).unwrap(), None);
}

#[test]
fn the_least_environment_is_whole_and_the_rest_has_defaults() {
    let config = config(&[]);
    let HopKind::Kafka {
        bootstrap_servers,
        auth,
    } = &config.hop.kind
    else {
        panic!("not Kafka");
    };
    assert_eq!(bootstrap_servers, "kafka:29092");
    assert_eq!(*auth, None);
    let KernelKind::Aether { server, named_by } = &config.kernel.kind else {
        panic!("not a server");
    };
    assert_eq!(*named_by, NamedBy::AetherEnvironment);
    assert_eq!(server.host, "kernel-db");
    assert_eq!((server.port, server.pool_size), (5432, 3));
    assert_eq!(server.name, "aether");
    assert_eq!(server.username, "reader");
    assert_eq!(server.password.as_deref(), Some("hunter2"));
    assert_eq!(server.sslmode, SslMode::Prefer);
    assert_eq!(config.kernel.bound.window, Duration::from_secs(2));
    assert_eq!(config.positions.host, "offset-db");
    assert_eq!(config.positions.name, "offsets");
    assert_eq!(config.positions.pool_size, 6);
    assert_eq!(config.produce, ProduceConfig::default());
    assert_eq!(config.control.address.to_string(), "0.0.0.0:5005");
    assert_eq!(config.control.credential, None);
    assert_eq!(config.max_connections, None);
    assert!(!config.control.pretty_status);
    assert_eq!(config.log_level, None);
}

#[test]
fn the_defaults_are_those_of_the_stanza() {
    let stanza = Scene::empty().load().unwrap().produce().unwrap();
    assert_eq!(ProduceConfig::default(), stanza);
    let kernel = "[k]\nkernel-type = \"aether\"\nkernel-host = \"x\"\nkernel-name = \"x\"\n\
                  kernel-username = \"x\"\n";
    let kernel = Scene::of(kernel).kernel("k").load().unwrap().kernel();
    assert_eq!(kernel.unwrap().unwrap().bound, Default::default());
}

#[test]
fn kafkas_security_means_what_it_means_to_aether() {
    let su = |security| {
        config(&[
            ("KAFKA_SECURITY", security),
            ("KAFKA_SU_USER", "su"),
            ("KAFKA_SU_PW", "hunter4"),
        ])
    };
    for (security, expected) in [
        (
            "SASL_PLAINTEXT",
            Some((Protocol::SaslPlaintext, Mechanism::ScramSha256)),
        ),
        (
            "sasl_plaintext",
            Some((Protocol::SaslPlaintext, Mechanism::ScramSha256)),
        ),
        ("SASL_SSL", Some((Protocol::SaslSsl, Mechanism::Plain))),
        ("", None),
        ("PLAINTEXT", None),
        ("None", None),
    ] {
        let config = su(security);
        let HopKind::Kafka { auth, .. } = &config.hop.kind else {
            panic!("not Kafka");
        };
        let found = auth.as_ref().map(|auth| (auth.protocol, auth.mechanism));
        assert_eq!(found, expected, "{security}");
        if let Some(auth) = auth {
            assert_eq!(
                (auth.username.as_str(), auth.password.as_str()),
                ("su", "hunter4")
            );
        }
    }
    refused(
        &[("KAFKA_SECURITY", "SASL_SSL")],
        "{}",
        "KAFKA_SU_USER is not set (KAFKA_SECURITY is SASL_SSL): set it, or choose stanzas with -H, -D and -K",
    );
}

#[test]
fn every_setting_is_honoured_under_its_upper_case_name() {
    let config = config(&[
        ("KAFKA_URL", "PLAINTEXT://a, b:1234"),
        ("POSTGRES_PORT", "5433"),
        ("OFFSET_DB_PORT", "5434"),
        ("OFFSET_DB_POOL_SIZE", "4"),
        ("FETCH_SIZE", "77"),
        ("WINDOW_SIZE_SEC", "0.5"),
        ("SLEEP_TIME", "3"),
        ("START_DELAY", "5"),
        ("KAFKA_FAILURE_WAIT_TIME", "7"),
        ("KAFKA_DEFAULT_TOPIC_PARTITIONS", "8"),
        ("KAFKA_DEFAULT_TOPIC_REPLICAS", "2"),
        ("SERVER_IP", "127.0.0.1"),
        ("SERVER_PORT", "5009"),
        ("LOG_LEVEL", "WARNING"),
        ("PRODUCER_ADMIN_USER", "admin"),
        ("PRODUCER_ADMIN_PW", "hunter5"),
        ("PGSSLMODE", "verify-full"),
        ("KERNEL_ACCESS_TYPE", "database"),
    ]);
    let HopKind::Kafka {
        bootstrap_servers, ..
    } = &config.hop.kind
    else {
        panic!("not Kafka");
    };
    assert_eq!(bootstrap_servers, "a:9092,b:1234");
    let KernelKind::Aether { server, .. } = &config.kernel.kind else {
        panic!("not a server");
    };
    assert_eq!((server.port, server.sslmode), (5433, SslMode::VerifyFull));
    assert_eq!(config.kernel.bound.window, Duration::from_millis(500));
    assert_eq!(
        (config.positions.port, config.positions.pool_size),
        (5434, 4)
    );
    assert_eq!(config.produce.fetch_size, 77);
    assert_eq!(config.produce.poll_interval, Duration::from_secs(3));
    assert_eq!(config.produce.start_delay, Duration::from_secs(5));
    assert_eq!(config.produce.retry_pause, Duration::from_secs(7));
    assert_eq!(config.produce.topic.partitions, 8);
    assert_eq!(config.produce.topic.replicas, 2);
    assert_eq!(config.control.address.to_string(), "127.0.0.1:5009");
    assert_eq!(config.log_level, Some(tracing::Level::WARN));
    assert_eq!(
        config.control.credential.as_ref().unwrap().username,
        "admin"
    );
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn the_settings_file_is_below_the_environment() {
    let file = r#"{
        "fetch_size": 50, "sleep_time": "4", "server_port": 5010, "log_level": "debug",
        "kafka_url": "elsewhere:1", "window_size_sec": null, "start_delay": "",
        "kafka_settings": {"default.topic.config": {"retention.ms": -1, "cleanup.policy": "compact"},
                           "linger.ms": 5},
        "topic_settings": {"name_modifier": "v2-%s"},
        "flask_settings": {"max_connections": 3, "pretty_json_status": true},
        "colour": "blue"
    }"#;
    let config = config_with_file(&[("FETCH_SIZE", "60")], file);
    assert_eq!(config.produce.fetch_size, 60);
    assert_eq!(config.produce.poll_interval, Duration::from_secs(4));
    assert_eq!(config.produce.start_delay, Duration::ZERO);
    assert_eq!(config.control.address.to_string(), "0.0.0.0:5010");
    assert_eq!(config.log_level, Some(tracing::Level::DEBUG));
    let HopKind::Kafka {
        bootstrap_servers, ..
    } = &config.hop.kind
    else {
        panic!("not Kafka");
    };
    assert_eq!(bootstrap_servers, "kafka:29092");
    let topic = &config.produce.topic;
    assert_eq!(topic.properties["retention.ms"], "-1");
    assert_eq!(topic.properties["cleanup.policy"], "compact");
    assert_eq!(topic.name("realm", "Person"), "realm.v2-Person");
    assert_eq!(config.max_connections, Some(3));
    assert!(config.control.pretty_status);
    assert_eq!(config.unknown, ["colour", "kafka_settings.linger.ms"]);
}

#[test]
fn a_settings_file_alone_is_enough() {
    let all: serde_json::Map<String, serde_json::Value> = WHOLE
        .iter()
        .map(|(name, value)| (name.to_lowercase(), (*value).into()))
        .collect();
    let text = serde_json::Value::Object(all).to_string();
    let scene = Scene::empty().file("settings.json", &text);
    let path = scene.path("settings.json");
    let environment =
        Environment::from_variables([("PRODUCER_SETTINGS_FILE", path.to_str().unwrap())]);
    assert_eq!(AetherConfig::of(&environment).unwrap(), Some(config(&[])));
}

#[test]
fn what_is_wrong_is_one_line_that_names_the_setting_and_never_the_value() {
    for (over, line) in [
        (
            ("KERNEL_ACCESS_TYPE", "api"),
            "KERNEL_ACCESS_TYPE: api is not built: this program reads the kernel's database; set it to database, and POSTGRES_HOST, POSTGRES_PORT, POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DBNAME to where that is",
        ),
        (
            ("POSTGRES_HOST", ""),
            "POSTGRES_HOST is not set (PostgreSQL's host): set it, or choose stanzas with -H, -D and -K",
        ),
        (
            ("OFFSET_DB_NAME", ""),
            "OFFSET_DB_NAME is not set (the database's name): set it, or choose stanzas with -H, -D and -K",
        ),
        (
            ("POSTGRES_HOST", "postgres://u:hunter2@x"),
            "POSTGRES_HOST: it must be a host name or address alone",
        ),
        (
            ("POSTGRES_PORT", "0"),
            "POSTGRES_PORT: it must be a port from 1 to 65535",
        ),
        (
            ("FETCH_SIZE", "many"),
            "FETCH_SIZE: it must be a whole number of at least 1",
        ),
        (
            ("WINDOW_SIZE_SEC", "NaN"),
            "WINDOW_SIZE_SEC: it must be a number of seconds",
        ),
        (
            ("LOG_LEVEL", "loud"),
            "LOG_LEVEL: it must be one of CRITICAL, ERROR, WARNING, INFO, DEBUG",
        ),
        (
            ("PRODUCER_ADMIN_USER", "admin"),
            "environment variable PRODUCER_ADMIN_USER is set and PRODUCER_ADMIN_PW is not: set both or neither",
        ),
        (
            ("POSTGRES_PASSWORD", "a\nb"),
            "POSTGRES_PASSWORD: it contains a control character: remove it",
        ),
    ] {
        refused(&[over], "{}", line);
    }
    for (text, line) in [
        (
            "[]",
            "settings file settings.json: it is not a JSON object; correct it",
        ),
        (
            "{",
            "settings file settings.json: it is not JSON: EOF while parsing an object at line 1 column 1; correct it",
        ),
        (
            r#"{"sleep_time": {}}"#,
            "sleep_time in settings.json: it must be text, a number, true or false",
        ),
        (
            r#"{"topic_settings": 1}"#,
            "topic_settings in settings.json: it must be an object",
        ),
        (
            r#"{"topic_settings": {"name_modifier": "x"}}"#,
            "topic_settings.name_modifier: \"x\" must have %s once, and else nothing but letters, digits, . _ - (like %s or kernel-%s): correct it",
        ),
        (
            r#"{"kafka_settings": {"default.topic.config": {"A": 1}}}"#,
            "kafka_settings.default.topic.config in settings.json: \"A\" is not a property of a topic with a value: write it like \"retention.ms\": 604800000",
        ),
    ] {
        refused(&[], text, line);
    }
    let scene = Scene::empty();
    let missing = scene.path("nowhere.json");
    let environment = environment(&[("PRODUCER_SETTINGS_FILE", missing.to_str().unwrap())]);
    assert_eq!(
        scene.shown(&AetherConfig::of(&environment).unwrap_err()),
        "settings file nowhere.json: No such file or directory (os error 2); correct PRODUCER_SETTINGS_FILE, or unset it"
    );
}

const SETTINGS: &[&str] = &[
    "KAFKA_URL",
    "KAFKA_SECURITY",
    "KAFKA_SU_USER",
    "KAFKA_SU_PW",
    "POSTGRES_HOST",
    "POSTGRES_PORT",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "OFFSET_DB_NAME",
    "OFFSET_DB_POOL_SIZE",
    "PRODUCER_ADMIN_USER",
    "PRODUCER_ADMIN_PW",
    "FETCH_SIZE",
    "WINDOW_SIZE_SEC",
    "SLEEP_TIME",
    "START_DELAY",
    "KAFKA_DEFAULT_TOPIC_REPLICAS",
    "SERVER_IP",
    "SERVER_PORT",
    "LOG_LEVEL",
    "KERNEL_ACCESS_TYPE",
    "PGSSLMODE",
];

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<f64>().prop_map(|number| serde_json::json!(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\\PC{0,12}".prop_map(|text| serde_json::json!(text).to_string()),
        Just(r#"{"default.topic.config": {"retention.ms": 1, "é": []}}"#.to_owned()),
        Just(r#"{"name_modifier": "%s", "max_connections": -1}"#.to_owned()),
    ];
    let name = prop::sample::select(
        SETTINGS
            .iter()
            .map(|name| name.to_lowercase())
            .chain(["kafka_settings", "topic_settings", "flask_settings", "x"].map(str::to_owned))
            .collect::<Vec<_>>(),
    );
    let object = prop::collection::vec((name, leaf), 0..6).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        format!("{{{}}}", members.join(", "))
    });
    prop_oneof![4 => object, 1 => "\\PC*"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_environment_and_no_settings_file_panics_and_every_error_is_one_line(
        over in prop::collection::vec((prop::sample::select(SETTINGS), "[^\\x00]{0,20}"), 0..4),
        text in json(),
    ) {
        let over: Vec<(&str, &str)> = over.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let environment = environment(&over);
        for config in [
            AetherConfig::of(&environment),
            AetherConfig::of_texts(&environment, "settings.json", &text),
        ] {
            match config {
                Ok(config) => {
                    let shown = format!("{config:?}");
                    prop_assert!(!shown.contains("hunter"));
                }
                Err(error) => {
                    let error = error.to_string();
                    prop_assert!(!error.contains(char::is_control), "{error}");
                    prop_assert!(!error.contains("hunter"), "{error}");
                }
            }
        }
    }
}
