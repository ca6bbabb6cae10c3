use crate::scene::Scene;

/// Every stanza's first line is line 1 of the file.
#[track_caller]
fn refused(toml: &str, line: &str) {
    let scene = Scene::of(toml).hop("h").database("d").store("s");
    let scene = complete(scene, toml);
    assert_eq!(scene.error(), line, "for {toml}");
}

/// Chooses the always-there stanzas for the kinds that the text does not have.
fn complete(mut scene: Scene, toml: &str) -> Scene {
    for (stanza, chosen) in [
        ("[h]", &mut scene.selection.hop),
        ("[d]", &mut scene.selection.database),
        ("[s]", &mut scene.selection.store),
    ] {
        if !toml.contains(stanza) {
            *chosen = None;
        }
    }
    scene
}

#[test]
fn a_bad_structure_is_one_line_that_names_the_place_and_the_remedy() {
    for (toml, line) in [
        (
            "[log\n",
            "housekeeping.toml:1: not valid TOML: unclosed table, expected `]`; correct the line (text stands in quotes)",
        ),
        (
            "[log]\nlog-level = info\n",
            "housekeeping.toml:2: not valid TOML: invalid float, expected `inf`; correct the line (text stands in quotes)",
        ),
        (
            "[log]\n[log]\n",
            "housekeeping.toml:2: not valid TOML: duplicate key; correct the line (text stands in quotes)",
        ),
        (
            "log-level = \"info\"\n",
            "housekeeping.toml:1: log-level stands outside of any stanza: put it below a line like [log]",
        ),
        (
            "db-port = 1\n",
            "housekeeping.toml:1: db-port stands outside of any stanza: put it below a line like [file-db]",
        ),
        (
            "[[hop-dev]]\nhop-type = \"kafka\"\n",
            "housekeeping.toml:1: [hop-dev] is written as a list of tables: write [hop-dev] once",
        ),
        (
            "[lgo]\n",
            "housekeeping.toml:1: [lgo] has no keys: give it some or remove it (the nearest known stanza is [log])",
        ),
        (
            "[\"a\\nb\"]\n",
            "housekeeping.toml:1: [a\\nb] has no keys: give it some or remove it (the nearest known stanza is [log])",
        ),
        (
            "[hop-dev]\nhop-type = \"kafka\"\nhop-hostnam = \"x\"\n",
            "housekeeping.toml:3: unknown key hop-hostnam in [hop-dev]: the nearest known key is hop-hostname",
        ),
        (
            "[log]\nlevel = \"info\"\n",
            "housekeeping.toml:2: unknown key level in [log]: the nearest known key is log-level",
        ),
        (
            "[mystery]\nDB_PORT = 3\n",
            "housekeeping.toml:2: unknown key DB_PORT in [mystery]: the nearest known key is db-port",
        ),
        (
            "[x]\nhop-type = \"kafka\"\ndb-port = 1\n",
            "housekeeping.toml:3: db-port does not belong in [x], which has hop- keys: put it into a stanza of its own",
        ),
        (
            "[log]\nhop-type = \"kafka\"\n",
            "housekeeping.toml:2: hop-type does not belong in [log], which has log- keys: put it into a stanza of its own",
        ),
        (
            "[logs]\nlog-level = \"info\"\n",
            "housekeeping.toml:2: log-level belongs in the stanza [log], not in [logs]: move it there",
        ),
        (
            "[x]\ndb-type = \"sql\"\ndb-password = \"hunter2\"\n",
            "housekeeping.toml:3: db-password in [x] is a secret, and secrets never stand in this file: remove it and set the environment variable DB_PASSWORD",
        ),
        (
            "[x]\nhop-username = \"me\"\n",
            "housekeeping.toml:2: hop-username in [x] is a secret, and secrets never stand in this file: remove it and set the environment variable HOP_USERNAME",
        ),
        (
            "[x]\ns3-secret-access-key = \"hunter2\"\n",
            "housekeeping.toml:2: s3-secret-access-key in [x] is a secret, and secrets never stand in this file: remove it and set the environment variable S3_SECRET_ACCESS_KEY",
        ),
    ] {
        refused(toml, line);
    }
}

#[test]
fn a_bad_value_is_one_line_that_says_what_was_expected_and_what_was_found() {
    for (toml, line) in [
        (
            "[log]\nlog-level = \"loud\"\n",
            "housekeeping.toml:2: log-level in [log] must be one of error, critical, warn, warning, info, debug, trace, not \"loud\"",
        ),
        (
            "[log]\nlog-format = 1\n",
            "housekeeping.toml:2: log-format in [log] must be one of text, json, not 1",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-port = \"x\"\n",
            "housekeeping.toml:3: db-port in [d] must be a whole number from 1 to 65535, not \"x\"",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-port = 0\n",
            "housekeeping.toml:3: db-port in [d] must be a whole number from 1 to 65535, not 0",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-port = 0x1_0000\n",
            "housekeeping.toml:3: db-port in [d] must be a whole number from 1 to 65535, not 65536",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-port = -1\n",
            "housekeeping.toml:3: db-port in [d] must be a whole number from 1 to 65535, not -1",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-port = 1.5\n",
            "housekeeping.toml:3: db-port in [d] must be a whole number from 1 to 65535, not a number with a fraction",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-pool-size = 0\n",
            "housekeeping.toml:3: db-pool-size in [d] must be a whole number from 1 to 1000, not 0",
        ),
        (
            "[d]\ndb-type = \"oracle\"\n",
            "housekeeping.toml:2: db-type in [d] must be one of sqlite, postgres, sql, aws, mock, not \"oracle\"",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-sslmode = \"maybe\"\n",
            "housekeeping.toml:3: db-sslmode in [d] must be one of disable, prefer, require, verify-ca, verify-full, not \"maybe\"",
        ),
        (
            "[d]\ndb-port = 5432\n",
            "[d] needs db-type (where the catalogue is): add it to the stanza or set the environment variable DB_TYPE",
        ),
        (
            "[d]\ndb-type = \"sqlite\"\n",
            "[d] needs db-path (SQLite's file): add it to the stanza or set the environment variable DB_PATH",
        ),
        (
            "[d]\ndb-type = \"postgres\"\n",
            "[d] needs db-host (PostgreSQL's host, or the directory of its socket): add it to the stanza or set the environment variable DB_HOST",
        ),
        (
            "[d]\ndb-type = \"postgres\"\ndb-host = \"postgres://me:hunter2@x/y\"\n",
            "housekeeping.toml:3: db-host in [d]: it must be a host name or address alone: put port, database and user into db-port, db-name and db-username",
        ),
        (
            "[d]\ndb-type = \"postgres\"\ndb-host = \"a\\u0000b\"\n",
            "housekeeping.toml:3: db-host in [d]: it contains a control character: remove it",
        ),
        (
            "[d]\ndb-type = \"postgres\"\ndb-sslrootcert = \"/nowhere/ca.pem\"\n",
            "housekeeping.toml:3: db-sslrootcert in [d]: /nowhere/ca.pem: No such file or directory (os error 2); correct the path or remove the key",
        ),
        (
            "[s]\nstore-type = \"tape\"\n",
            "housekeeping.toml:2: store-type in [s] must be one of directory, S3, mock, not \"tape\"",
        ),
        (
            "[s]\nstore-type = \"directory\"\n",
            "[s] needs store-path (the directory; buckets are folders in it): add it to the stanza or set the environment variable STORE_PATH",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-primary-bucket = \"../x\"\n",
            "housekeeping.toml:3: store-primary-bucket in [s]: \"../x\" is no bucket's name: take 3 to 63 of a-z 0-9 . -, with a letter or digit at both ends",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-backup-bucket = \"archive\"\n",
            "housekeeping.toml:3: store-backup-bucket in [s]: it is the primary bucket too: name another one or remove the key",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-endpoint-url = \"127.0.0.1:9000\"\n",
            "housekeeping.toml:3: store-endpoint-url in [s]: it must start with http:// or https://: write it like http://127.0.0.1:9000",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-endpoint-url = \"http://me:hunter2@x\"\n",
            "housekeeping.toml:3: store-endpoint-url in [s]: it has a user or password in it: remove them and set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-endpoint-url = \"http://\"\n",
            "housekeeping.toml:3: store-endpoint-url in [s]: it must be a scheme and a host: write it like http://127.0.0.1:9000",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-request-timeout-seconds = 0\n",
            "housekeeping.toml:3: store-request-timeout-seconds in [s] must be a whole number from 1 to 3600, not 0",
        ),
        (
            "[s]\nstore-type = \"S3\"\nstore-log-every = -1\n",
            "housekeeping.toml:3: store-log-every in [s] must be a whole number of at least 0, not -1",
        ),
    ] {
        refused(toml, line);
    }
}

#[test]
fn a_bad_hop_is_one_line_that_says_what_was_expected_and_what_was_found() {
    for (keys, line) in [
        (
            "hop-type = \"rabbit\"",
            "housekeeping.toml:3: hop-type in [h] must be one of mock, kafka, hop, not \"rabbit\"",
        ),
        (
            "hop-type = \"kafka\"",
            "[h] needs hop-hostname (Kafka's host, or several with commas; each may have its :port): add it to the stanza or set the environment variable HOP_HOSTNAME",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"kafka://x\"",
            "housekeeping.toml:4: hop-hostname in [h]: \"kafka://x\" must end in a port from 1 to 65535",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"a,,b\"",
            "housekeeping.toml:4: hop-hostname in [h]: \"\" is not a host: write it like kafka.example.org, kafka.example.org:9092 or [::1]:9092",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"a b\"",
            "housekeeping.toml:4: hop-hostname in [h]: \"a b\" is not a host: write it like kafka.example.org, kafka.example.org:9092 or [::1]:9092",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"a:0\"",
            "housekeeping.toml:4: hop-hostname in [h]: \"a:0\" must end in a port from 1 to 65535",
        ),
        (
            "hop-type = \"mock\"\nhop-until-eos = \"perhaps\"",
            "housekeeping.toml:4: hop-until-eos in [h] must be true or false, not \"perhaps\"",
        ),
        (
            "hop-type = \"mock\"\nhop-topics = [1]",
            "housekeeping.toml:4: hop-topics in [h] must be a list of topic names or globs, not a list with 1 in it",
        ),
        (
            "hop-type = \"mock\"\nhop-topics = [\"a[\"]",
            "housekeeping.toml:4: hop-topics in [h]: \"a[\" is not a valid glob: unclosed character class; missing ']'; correct it",
        ),
        (
            "hop-type = \"mock\"\nhop-vetoed-topics = [\"a b\"]",
            "housekeeping.toml:4: hop-vetoed-topics in [h]: \"a b\" contains ' ', which no topic's name has (letters, digits, . _ - and the glob characters * ? [ ] { } ! ^ ,): remove it",
        ),
        (
            "hop-type = \"mock\"\nhop-topic-refresh-interval-seconds = 0",
            "housekeeping.toml:4: hop-topic-refresh-interval-seconds in [h] must be a whole number from 1 to 86400, not 0",
        ),
        (
            "hop-type = \"mock\"\nhop-test-topic = \"a,b\"",
            "housekeeping.toml:4: hop-test-topic in [h]: \"a,b\" is not the name of one topic (1 to 249 of letters, digits, . _ -): correct it, or name several in hop-topics",
        ),
        (
            "hop-type = \"mock\"\nhop-test-topic = \"b\"\nhop-topics = [\"a\"]",
            "housekeeping.toml:4: hop-test-topic in [h]: hop-topics leaves b out, so nothing would be archived: add it there",
        ),
        (
            "hop-type = \"mock\"\nhop-test-topic = \"b\"\nhop-vetoed-topics = [\"?\"]",
            "housekeeping.toml:4: hop-test-topic in [h]: ? of hop-vetoed-topics or the veto list leaves b out, so nothing would be archived: remove the veto or take another topic",
        ),
        (
            "hop-type = \"mock\"\nhop-test-topic = \"__consumer_offsets\"",
            "housekeeping.toml:4: hop-test-topic in [h]: __consumer_offsets is the broker's own and never archived: take another topic",
        ),
        (
            "hop-type = \"mock\"\nhop-test-max-messages = 0",
            "housekeeping.toml:4: hop-test-max-messages in [h] must be a whole number of at least 1, not 0",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"x\"\nhop-security-protocol = \"TLS\"",
            "housekeeping.toml:5: hop-security-protocol in [h] must be one of PLAINTEXT, SASL_PLAINTEXT, SASL_SSL, SSL, not \"TLS\"",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"x\"\nhop-security-protocol = \"SSL\"",
            "housekeeping.toml:5: hop-security-protocol in [h]: SSL without SASL is not among this program's ways to show who it is: take SASL_SSL, or put security.protocol = \"ssl\" and the ssl.* properties into hop-properties",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"x\"\nhop-security-protocol = \"SASL_SSL\"",
            "[h]: SASL_SSL needs a credential: set HOP_USERNAME and HOP_PASSWORD, or hop-local-auth to the path of an auth.toml",
        ),
        (
            "hop-type = \"kafka\"\nhop-hostname = \"x\"\nhop-sasl-mechanism = \"GSSAPI\"",
            "housekeeping.toml:5: hop-sasl-mechanism in [h] must be one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN, not \"GSSAPI\"",
        ),
        (
            "hop-type = \"mock\"\nhop-properties = \"a\"",
            "housekeeping.toml:4: hop-properties in [h] must be a table of librdkafka properties, not \"a\"",
        ),
        (
            "hop-type = \"mock\"\nhop-properties = { a = [1] }",
            "housekeeping.toml:4: hop-properties in [h] must be a table of librdkafka properties, not a table with a list as a",
        ),
        (
            "hop-type = \"mock\"\nhop-properties = { \"ssl.key.password\" = \"hunter2\" }",
            "housekeeping.toml:4: hop-properties in [h]: ssl.key.password is a secret, and secrets never stand in this file: put it into the environment variable HOP_PROPERTIES",
        ),
        (
            "hop-type = \"mock\"\nhop-properties = { \"Fetch Max\" = 1 }",
            "housekeeping.toml:4: hop-properties in [h]: \"Fetch Max\" is not a property's name: write it as librdkafka's CONFIGURATION.md does, like fetch.max.bytes",
        ),
        (
            "hop-type = \"mock\"\nhop-properties = { \"client.rack\" = \"\" }",
            "housekeeping.toml:4: hop-properties in [h]: client.rack is empty or contains a control character: give it a value or remove it",
        ),
    ] {
        refused(&format!("\n[h]\n{keys}\n"), line);
    }
}

#[test]
fn a_property_that_the_program_must_set_itself_is_refused_with_the_reason() {
    for name in [
        "enable.auto.commit",
        "enable.auto.offset.store",
        "auto.offset.reset",
        "isolation.level",
        "group.id",
        "bootstrap.servers",
        "metadata.broker.list",
        "enable.partition.eof",
        "sasl.username",
    ] {
        let toml = format!("[h]\nhop-type = \"mock\"\nhop-properties = {{ \"{name}\" = \"x\" }}\n");
        let error = Scene::of(&toml).hop("h").error();
        let start = format!(
            "housekeeping.toml:3: hop-properties in [h]: {name} is this program's own to set ("
        );
        assert!(error.starts_with(&start), "{error}");
        assert!(error.ends_with("): remove it"), "{error}");
        let error = Scene::empty()
            .env("HOP_PROPERTIES", &format!("client.rack=a,{name}=x"))
            .error();
        assert!(
            error.contains(&format!("{name} is this program's own")),
            "{error}"
        );
    }
}

#[test]
fn what_an_archiver_holds_at_once_is_checked() {
    for (keys, line) in [
        (
            "archive-batch-records = 0",
            "housekeeping.toml:2: archive-batch-records in [archive] must be a whole number from 1 to 1000000, not 0",
        ),
        (
            "archive-memory-bytes = 8388607",
            "housekeeping.toml:2: archive-memory-bytes in [archive] must be a whole number from 8388608 to 1099511627776, not 8388607",
        ),
        (
            "archive-memory-bytes = 8388608\narchive-batch-bytes = 4194305",
            "housekeeping.toml:3: archive-batch-bytes in [archive]: 4194305 is more than half of archive-memory-bytes (8388608): lower it to 4194304 or raise archive-memory-bytes",
        ),
        (
            "archive-batch-interval-ms = 0",
            "housekeeping.toml:2: archive-batch-interval-ms in [archive] must be a whole number from 1 to 3600000, not 0",
        ),
        (
            "archive-put-concurrency = 0",
            "housekeeping.toml:2: archive-put-concurrency in [archive] must be a whole number from 1 to 4096, not 0",
        ),
        (
            "archive-status-interval-seconds = 99999999999999999999999",
            "housekeeping.toml:2: archive-status-interval-seconds in [archive] must be a whole number from 1 to 86400, not 99999999999999999999999",
        ),
        (
            "archive-shutdown-seconds = true",
            "housekeeping.toml:2: archive-shutdown-seconds in [archive] must be a whole number from 1 to 3600, not true",
        ),
    ] {
        refused(&format!("[archive]\n{keys}\n"), line);
    }
}

#[test]
fn a_key_that_is_not_built_is_refused_in_a_chosen_stanza_with_what_to_do_instead() {
    for (toml, line) in [
        (
            "[h]\nhop-type = \"hop\"\nhop-aws-secret-name = \"x\"\n",
            "housekeeping.toml:3: hop-aws-secret-name in [h] is known but not built yet: put the secret into HOP_USERNAME and HOP_PASSWORD and remove the key",
        ),
        (
            "[h]\nhop-type = \"hop\"\nhop-aws-secret-region = \"x\"\n",
            "housekeeping.toml:3: hop-aws-secret-region in [h] is known but not built yet: put the secret into HOP_USERNAME and HOP_PASSWORD and remove the key",
        ),
        (
            "[d]\ndb-type = \"aws\"\n",
            "housekeeping.toml:2: db-type = \"aws\" in [d] is known but not built yet: write db-type = \"postgres\" with db-host, db-name and db-username, and put the secret into DB_PASSWORD",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-secret-name = \"x\"\n",
            "housekeeping.toml:3: db-secret-name in [d] is known but not built yet: put the secret into DB_PASSWORD and write db-host, db-name and db-username into the stanza",
        ),
        (
            "[d]\ndb-type = \"sql\"\ndb-aws-region = \"x\"\n",
            "housekeeping.toml:3: db-aws-region in [d] is known but not built yet: put the secret into DB_PASSWORD and write db-host, db-name and db-username into the stanza",
        ),
    ] {
        refused(toml, line);
    }
}

#[test]
fn a_stanza_that_is_not_there_is_named_with_the_nearest() {
    let toml = "[hop-prod]\nhop-type = \"mock\"\n[my-db]\ndb-type = \"sqlite\"\n";
    assert_eq!(
        Scene::of(toml).hop("hop-prd").error(),
        "-H hop-prd: there is no such stanza in housekeeping.toml: the nearest is hop-prod (to choose from: hop-prod, mock-hop)"
    );
    assert_eq!(
        Scene::of(toml).hop("my-db").error(),
        "-H my-db: [my-db] has no hop- keys: choose one of hop-prod, mock-hop"
    );
    assert_eq!(
        Scene::empty().store("local-stor").error(),
        "-S local-stor: there is no such stanza in the built-in configuration: the nearest is local-store (to choose from: file-store, local-store)"
    );
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let mut scene = Scene::empty();
    scene.selection.config_file = Some(scene.path("mine.toml"));
    assert_eq!(
        scene.error(),
        "configuration file mine.toml: No such file or directory (os error 2); correct the path, or leave --config out for the built-in configuration"
    );
    let mut scene = Scene::empty();
    scene.selection.veto_list = Some(scene.path("mine.list"));
    assert_eq!(
        scene.error(),
        "veto list mine.list: No such file or directory (os error 2); correct --veto-list, or leave it out"
    );
}

#[test]
fn a_file_that_is_not_text_is_an_error() {
    let scene = Scene::empty().file("housekeeping.toml", b"[log]\n# \xff\n");
    assert_eq!(
        scene.error(),
        "configuration file housekeeping.toml: stream did not contain valid UTF-8; correct the path, or leave --config out for the built-in configuration"
    );
}

#[test]
fn a_bad_environment_variable_is_named() {
    for (variable, value, line) in [
        (
            "LOG_LEVEL",
            "loud",
            "environment variable LOG_LEVEL: log-level in [log] must be one of error, critical, warn, warning, info, debug, trace, not \"loud\"",
        ),
        (
            "ARCHIVE_BATCH_RECORDS",
            "many",
            "environment variable ARCHIVE_BATCH_RECORDS: archive-batch-records in [archive] must be a whole number from 1 to 1000000, not \"many\"",
        ),
        (
            "HOP_PROPERTIES",
            "client.rack",
            "environment variable HOP_PROPERTIES: hop-properties in [mock-hop]: part 1 has no = in it: write it as name=value,name=value",
        ),
        (
            "HOP_PROPERTIES",
            "client.rack=a,client.rack=b",
            "environment variable HOP_PROPERTIES: hop-properties in [mock-hop]: client.rack is given twice: give it once",
        ),
        (
            "HOP_AWS_SECRET_NAME",
            "x",
            "environment variable HOP_AWS_SECRET_NAME: hop-aws-secret-name in [mock-hop] is known but not built yet: put the secret into HOP_USERNAME and HOP_PASSWORD and remove the key",
        ),
    ] {
        assert_eq!(Scene::empty().env(variable, value).error(), line);
    }
}

#[test]
fn half_a_credential_is_an_error_that_names_the_missing_half() {
    for (set, missing) in [
        ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
        ("S3_SECRET_ACCESS_KEY", "S3_ACCESS_KEY_ID"),
    ] {
        let scene = Scene::empty().store("local-store").env(set, "hunter2");
        assert_eq!(
            scene.error(),
            format!("environment variable {set} is set and {missing} is not: set both or neither")
        );
    }
    for (set, missing) in [
        ("HOP_USERNAME", "HOP_PASSWORD"),
        ("HOP_PASSWORD", "HOP_USERNAME"),
    ] {
        let toml = "[h]\nhop-type = \"kafka\"\nhop-hostname = \"x\"\n";
        assert_eq!(
            Scene::of(toml).hop("h").env(set, "hunter2").error(),
            format!("environment variable {set} is set and {missing} is not: set both or neither")
        );
    }
}

#[test]
fn a_bad_line_of_the_veto_list_is_named_with_its_number() {
    let long = "a".repeat(250);
    for (list, line) in [
        (
            "# fine\n\nsys.*\nno spaces\n".to_owned(),
            "veto.list:4: \"no spaces\" contains ' ', which no topic's name has (letters, digits, . _ - and the glob characters * ? [ ] { } ! ^ ,): remove it".to_owned(),
        ),
        (
            "a{b\n".to_owned(),
            "veto.list:1: \"a{b\" is not a valid glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?); correct it".to_owned(),
        ),
        (
            format!("\n{long}\n"),
            "veto.list:2: the topic name or glob that starts with \"aaaaaaaaaaaaaaaaaaaa\" is longer than 249 characters, Kafka's limit: shorten it".to_owned(),
        ),
    ] {
        let scene = Scene::of("[log]\n").file("veto.list", list);
        assert_eq!(scene.error(), line);
    }
}

#[test]
fn a_command_that_needs_no_hop_works_beside_a_broken_one() {
    let config = Scene::of("[h]\nhop-type = \"rabbit\"\n")
        .hop("h")
        .load()
        .unwrap();
    assert!(config.hop().is_err());
    assert!(config.database().is_ok());
    assert!(config.store().is_ok());
    assert!(config.log().is_ok());
    assert!(config.archive().is_ok());
}
