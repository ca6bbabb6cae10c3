use std::path::PathBuf;
use std::time::Duration;

use archive_ingest::config::{
    ArchiveConfig, DatabaseConfig, DirectoryConfig, GroupName, HopKind, LogConfig, LogFormat,
    PostgresConfig, S3Config, SqliteConfig, SslMode, StoreConfig, Verdict,
};

use crate::scene::Scene;

const KAFKA: &str = "[h]\nhop-type = \"kafka\"\nhop-hostname = \"x\"\n";

#[test]
fn without_any_file_it_is_a_mock_hop_and_files() {
    for scene in [
        Scene::empty(),
        Scene::of(""),
        Scene::of("[mock-hop]\n[file-db]\n"),
    ] {
        let config = scene.load().unwrap();
        let hop = config.hop().unwrap();
        assert_eq!(
            (hop.stanza.as_str(), &hop.kind),
            ("mock-hop", &HopKind::Mock)
        );
        assert_eq!(hop.group, GroupName::Named("archive_ingest".to_owned()));
        assert_eq!(hop.topic_refresh, Duration::from_secs(60));
        assert!(!hop.until_eos && hop.test_max_messages.is_none() && hop.properties.is_empty());
        assert_eq!(
            config.database().unwrap(),
            DatabaseConfig::Sqlite(SqliteConfig {
                path: PathBuf::from("archive/catalogue.sqlite")
            })
        );
        assert_eq!(
            config.store().unwrap(),
            StoreConfig::Directory(DirectoryConfig {
                path: PathBuf::from("archive/store"),
                bucket: "archive".to_owned(),
                log_every: 10_000,
            })
        );
        assert_eq!(
            config.log().unwrap(),
            LogConfig {
                level: tracing::Level::INFO,
                format: LogFormat::Text
            }
        );
        assert_eq!(
            config.archive().unwrap(),
            ArchiveConfig {
                batch_records: 1000,
                batch_bytes: 16 << 20,
                batch_interval: Duration::from_millis(500),
                memory_bytes: 128 << 20,
                put_concurrency: 64,
                status_interval: Duration::from_secs(60),
                shutdown: Duration::from_secs(30),
                signing: None,
            }
        );
    }
}

#[test]
fn mock_db_and_mock_store_are_file_db_and_file_store_unless_the_file_has_them() {
    let scene = Scene::of("[file-db]\ndb-path = \"here\"\n");
    let config = scene
        .database("mock-db")
        .store("mock-store")
        .load()
        .unwrap();
    let here = SqliteConfig {
        path: "here".into(),
    };
    assert_eq!(config.database().unwrap(), DatabaseConfig::Sqlite(here));
    assert!(matches!(config.store().unwrap(), StoreConfig::Directory(_)));

    let existing = "[mock-db]\ndb-type = \"mock\"\n[mock-store]\nstore-type = \"mock\"\n\
                    store-primary-bucket = \"other\"\nstore-backup-bucket = \"x-backup\"\n";
    let config = Scene::of(existing)
        .database("mock-db")
        .store("mock-store")
        .load()
        .unwrap();
    assert!(matches!(
        config.database().unwrap(),
        DatabaseConfig::Sqlite(_)
    ));
    let StoreConfig::Directory(store) = config.store().unwrap() else {
        panic!("a mock store is a directory")
    };
    assert_eq!(store.bucket, "other");
}

#[test]
fn the_default_batch_is_never_more_than_half_of_the_memory() {
    let scene = Scene::empty().env("ARCHIVE_MEMORY_BYTES", "8388608");
    assert_eq!(
        scene.load().unwrap().archive().unwrap().batch_bytes,
        4 << 20
    );
}

#[test]
fn the_environment_goes_before_the_file_and_the_command_line_before_both() {
    let toml = "[h]\nhop-type = \"mock\"\nhop-test-topic = \"file\"\nhop-groupname = \"g\"\n";
    let mut scene = Scene::of(toml).hop("h");
    assert_eq!(scene.hop_config().topics.only.as_deref(), Some("file"));
    scene = scene
        .env("HOP_TEST_TOPIC", "env")
        .env("HOP_GROUPNAME", "random");
    assert_eq!(scene.hop_config().topics.only.as_deref(), Some("env"));
    assert_eq!(scene.hop_config().group, GroupName::Random);
    scene.selection.test_topic = Some("line".to_owned());
    scene.selection.until_eos = true;
    let hop = scene.env("HOP_UNTIL_EOS", "false").hop_config();
    assert_eq!(hop.topics.only.as_deref(), Some("line"));
    assert!(hop.until_eos);
}

#[test]
fn an_empty_value_counts_as_not_given() {
    let toml = "[s]\nstore-type = \"S3\"\nstore-region-name = \"\"\n";
    let scene = Scene::of(toml)
        .store("s")
        .env("STORE_PRIMARY_BUCKET", "")
        .env("DB_PORT", "");
    assert_eq!(
        scene.load().unwrap().store().unwrap(),
        StoreConfig::S3(S3Config {
            primary_bucket: "archive".to_owned(),
            backup_bucket: None,
            endpoint_url: None,
            region: "us-east-1".to_owned(),
            credentials: None,
            request_timeout_seconds: 30,
            log_every: 10_000,
        })
    );
}

#[test]
fn lists_in_the_environment_have_commas_and_globs_keep_theirs() {
    let scene = Scene::empty().env("HOP_TOPICS", "gcn.{a,b}, igwn.*,");
    let topics = scene.hop_config().topics;
    assert_eq!(topics.wanted.patterns(), ["gcn.{a,b}", "igwn.*"]);
    assert_eq!(topics.archives("gcn.b"), Verdict::Wanted);
    assert_eq!(topics.archives("gcn.c"), Verdict::NotWanted);
}

#[test]
fn every_postgres_key_is_read() {
    let toml = "[d]\ndb-type = \"sql\"\ndb-host = \"db.example.org\"\ndb-port = 5433\n\
                db-name = \"n\"\ndb-username = \"u\"\ndb-sslmode = \"verify-full\"\n\
                db-sslrootcert = \"~/ca.pem\"\ndb-pool-size = 3\ndb-request-timeout-seconds = 7\n";
    let scene = Scene::of(toml)
        .file("ca.pem", "")
        .env("DB_PASSWORD", "hunter2")
        .database("d");
    let database = scene.load().unwrap().database().unwrap();
    assert!(!format!("{database:?}").contains("hunter2"));
    assert_eq!(
        database,
        DatabaseConfig::Postgres(PostgresConfig {
            host: "db.example.org".to_owned(),
            port: 5433,
            name: "n".to_owned(),
            username: "u".to_owned(),
            password: Some("hunter2".to_owned()),
            sslmode: SslMode::VerifyFull,
            sslrootcert: Some(scene.path("ca.pem")),
            pool_size: 3,
            request_timeout_seconds: 7,
        })
    );
}

#[test]
fn every_s3_key_is_read_and_its_secrets_are_hidden() {
    let scene = Scene::empty()
        .store("local-store")
        .env("S3_ACCESS_KEY_ID", "hunter1")
        .env("S3_SECRET_ACCESS_KEY", "hunter2")
        .env("STORE_ENDPOINT_URL", "http://127.0.0.1:9000/");
    let StoreConfig::S3(store) = scene.load().unwrap().store().unwrap() else {
        panic!("local-store is S3")
    };
    assert_eq!(store.endpoint_url.as_deref(), Some("http://127.0.0.1:9000"));
    assert_eq!(store.backup_bucket.as_deref(), Some("archive-backup"));
    assert_eq!(
        store.credentials.as_ref().unwrap().secret_access_key,
        "hunter2"
    );
    let shown = format!("{store:?} {:?}", scene.load().unwrap());
    assert!(!shown.contains("hunter"), "{shown}");
}

#[test]
fn hosts_without_a_port_get_hop_port() {
    let scene = Scene::of(KAFKA)
        .hop("h")
        .env("HOP_HOSTNAME", "a, b:19092,[::1],[::1]:1")
        .env("HOP_PORT", "9093");
    let HopKind::Kafka {
        bootstrap_servers,
        auth,
    } = scene.hop_config().kind
    else {
        panic!("h is kafka")
    };
    assert_eq!(bootstrap_servers, "a:9093,b:19092,[::1]:9093,[::1]:1");
    assert_eq!(auth, None);
}

#[test]
fn properties_are_text_number_or_flag_and_nested_names_are_joined() {
    let toml = format!(
        "{KAFKA}hop-properties = {{ \"client.rack\" = \"a\", fetch.max.bytes = 1_048_576, \
         \"check.crcs\" = true }}\n"
    );
    let properties = Scene::of(&toml).hop("h").hop_config().properties;
    let pairs: Vec<_> = properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        pairs,
        [
            "check.crcs=true",
            "client.rack=a",
            "fetch.max.bytes=1048576"
        ]
    );
    let environment = Scene::empty().env("HOP_PROPERTIES", &pairs.join(","));
    assert_eq!(environment.hop_config().properties, properties);
}

#[test]
fn a_property_that_is_a_secret_comes_from_the_environment_and_is_hidden() {
    let scene = Scene::empty().env("HOP_PROPERTIES", "ssl.key.password=hunter2,client.rack=a");
    let hop = scene.hop_config();
    assert_eq!(hop.properties["ssl.key.password"], "hunter2");
    let shown = format!("{hop:?}");
    assert!(
        !shown.contains("hunter2") && shown.contains("client.rack"),
        "{shown}"
    );
}

#[test]
fn the_veto_list_beside_the_configuration_is_read_and_another_can_be_named() {
    let vetoed = |scene: &Scene| scene.hop_config().topics.vetoed.patterns().to_vec();
    assert_eq!(vetoed(&Scene::empty()), ["sys.heartbeat"]);
    assert!(vetoed(&Scene::of("")).is_empty());
    let mut scene = Scene::of("[mock-hop]\nhop-vetoed-topics = [\"own\"]\n")
        .file("veto.list", "\u{feff}# all\r\n\r\nbeside.* # why\r\n")
        .file("other.list", "other");
    assert_eq!(vetoed(&scene), ["own", "beside.*"]);
    scene.selection.veto_list = Some(scene.path("other.list"));
    assert_eq!(vetoed(&scene), ["own", "other"]);
}

#[test]
fn a_key_that_is_not_built_is_no_error_in_a_stanza_that_is_not_chosen() {
    let existing = "[aws-dev-db]\ndb-type = \"aws\"\ndb-name = \"n\"\ndb-secret-name = \"s\"\n\
                    db-aws-region = \"us-west-2\"\n\
                    [hop-prod]\nhop-type = \"hop\"\nhop-hostname = \"kafka.scimma.org\"\n\
                    hop-aws-secret-name = \"s\"\nhop-aws-secret-region = \"us-west-2\"\n\
                    [listen]\napi-listen = \"off\"\n";
    let config = Scene::of(existing).load().unwrap();
    assert!(config.hop().is_ok() && config.database().is_ok());
}
