//! Databases, stores and brokers that are away, refuse or cannot be used.

use std::net::TcpListener;

use super::{CANNOT_WORK, Case, closed_port, try_all, with, with_kafka};
use crate::support::broker::Access;
use crate::support::{Broker, Place, unique};

#[test]
fn a_database_or_a_directory_that_cannot_be_used_is_told_in_one_line_with_exit_code_3() {
    let corrupt = {
        let place = Place::embedded();
        place.write(
            "catalogue.sqlite",
            "this is no database\n".repeat(500).as_str(),
        );
        place
    };
    let newer = {
        let place = Place::embedded();
        place.catalogue().migrate().expect("an empty database");
        let file = rusqlite::Connection::open(place.path("catalogue.sqlite")).expect("a file");
        file.execute_batch(OF_NEWER_VERSION).expect("a history");
        place
    };
    let not_made = "/proc/no/such/place";
    let no_archive = |what, arguments: &[&str]| {
        Case::new(what, Place::embedded(), arguments)
            .exits(CANNOT_WORK)
            .says(["archive_ingest run"])
    };
    try_all(vec![
        Case::run("a file that is no database", corrupt)
            .exits(CANNOT_WORK)
            .says(["catalogue.sqlite"]),
        Case::run("a database of a newer version", newer)
            .exits(CANNOT_WORK)
            .says(["catalogue.sqlite", "newer"]),
        Case::run(
            "a catalogue where none can be",
            with("db", "db-path", &format!("{not_made:?}")),
        )
        .exits(CANNOT_WORK)
        .says([not_made]),
        Case::run(
            "a catalogue that is a directory",
            with("db", "db-path", "\"/tmp\""),
        )
        .exits(CANNOT_WORK)
        .says(["/tmp"]),
        Case::run(
            "a store where none can be",
            with("store", "store-path", &format!("{not_made:?}")),
        )
        .exits(CANNOT_WORK)
        .says([not_made]),
        Case::run(
            "a store that is a file",
            with("store", "store-path", "\"/dev/null\""),
        )
        .exits(CANNOT_WORK)
        .says(["/dev/null"]),
        no_archive("nothing to list", &["list-archive"]),
        no_archive("nothing to verify", &["verify"]),
        no_archive(
            "nothing to fetch",
            &["fetch-uuid", "6b6e6f77-6e2d-6461-7461-2d7575696431"],
        ),
    ]);
}

/// What a version of this program that is yet to come leaves.
const OF_NEWER_VERSION: &str = "INSERT INTO archive_ingest_migrations \
     (version, name, applied_on, checksum) VALUES (999, 'future', '2030-01-01T00:00:00Z', '0')";

#[test]
fn services_that_cannot_be_reached_are_named_within_a_minute_with_exit_code_3() {
    let (kafka, postgres, s3) = (closed_port(), closed_port(), closed_port());
    let mut database = Place::embedded();
    let (host, port) = postgres.split_once(':').expect("an address");
    database.set("db", "db-type", "\"postgres\"");
    database.set("db", "db-host", &format!("{host:?}"));
    database.set("db", "db-port", port);
    database.set("db", "db-name", "\"archive\"");
    database.set("db", "db-username", "\"archive\"");
    let mut store = Place::embedded();
    store.set("store", "store-type", "\"S3\"");
    store.set("store", "store-endpoint-url", &format!("\"http://{s3}\""));
    store.variable("S3_ACCESS_KEY_ID", "somebody");
    store.variable("S3_SECRET_ACCESS_KEY", "geheim");
    let mut silent = Place::embedded();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let deaf = listener.local_addr().expect("bound");
    silent.set("store", "store-type", "\"S3\"");
    silent.set("store", "store-endpoint-url", &format!("\"http://{deaf}\""));
    silent.variable("S3_ACCESS_KEY_ID", "somebody");
    silent.variable("S3_SECRET_ACCESS_KEY", "geheim");
    let unreachable =
        |what, place, name: &str| Case::run(what, place).exits(CANNOT_WORK).says([name]);
    try_all(vec![
        unreachable("no Kafka", with_kafka(&kafka), &kafka),
        unreachable(
            "a Kafka without a name",
            with_kafka("no-such-host.invalid"),
            "no-such-host.invalid",
        ),
        unreachable(
            "a Kafka that says nothing",
            with_kafka(&deaf.to_string()),
            &deaf.to_string(),
        ),
        unreachable("no PostgreSQL", database, &postgres),
        unreachable("no S3", store, &s3),
        unreachable("an S3 that says nothing", silent, &deaf.to_string()),
    ]);
}

#[test]
fn a_kafka_that_refuses_is_named_with_exit_code_3() {
    let (Some(broker), Some((address, _))) = (
        Broker::connect(),
        Broker::listener(Access::SaslSsl("SCRAM-SHA-512")),
    ) else {
        return;
    };
    let refused = |what, access, change: &dyn Fn(&mut Place)| {
        let mut place = Place::embedded();
        place.use_kafka(&broker, access).expect("it is there");
        change(&mut place);
        Case::run(what, place).exits(CANNOT_WORK).says(["kafka"])
    };
    let ssl = Access::SaslSsl("SCRAM-SHA-512");
    let other_ca = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/catalogue_contract/tls/other-ca.pem"
    );
    try_all(vec![
        refused("wrong password over TLS", ssl, &wrong_password),
        refused(
            "wrong password of PLAIN",
            Access::SaslPlaintext("PLAIN"),
            &wrong_password,
        ),
        refused("wrong CA", ssl, &|place| {
            place.set("hop", "hop-ssl-ca-location", &format!("{other_ca:?}"));
        })
        .says(["hop-ssl-ca-location"]),
        refused("a CA that is none", ssl, &|place| {
            let file = place.write("ca.pem", "no certificate");
            place.set("hop", "hop-ssl-ca-location", &format!("{file:?}"));
        })
        .says(["hop-ssl-ca-location"]),
        refused("a CA that is not there", ssl, &|place| {
            place.set("hop", "hop-ssl-ca-location", "\"/no/such/ca.pem\"");
        })
        .says(["hop-ssl-ca-location"]),
        refused(
            "PLAINTEXT where TLS is spoken",
            Access::Plaintext,
            &|place| {
                place.set("hop", "hop-hostname", &format!("{address:?}"));
            },
        ),
    ]);
}

fn wrong_password(place: &mut Place) {
    place.variable("HOP_USERNAME", "archive");
    place.variable("HOP_PASSWORD", "falsch");
}

#[test]
fn a_postgresql_that_refuses_is_named_with_exit_code_3() {
    let refused = |what, change: &dyn Fn(&mut Place)| {
        let mut place = Place::embedded();
        place.use_postgres()?;
        change(&mut place);
        Some(Case::run(what, place).exits(CANNOT_WORK).says(["postgres"]))
    };
    let cases = [
        refused("wrong password", &|place| {
            place.variable("DB_PASSWORD", "falsch")
        }),
        refused("unknown role", &|place| {
            place.set("db", "db-username", "\"nobody\"")
        }),
        refused("unknown database", &|place| {
            place.set("db", "db-name", "\"no_such_database\"");
        }),
        refused("a database of a newer version", &|place| {
            place.catalogue().migrate().expect("an empty database");
            place.execute(OF_NEWER_VERSION);
        })
        .map(|case| case.says(["newer"])),
    ];
    try_all(cases.into_iter().flatten().collect());
}

#[test]
fn an_s3_that_refuses_is_named_with_exit_code_3() {
    let refused = |what, change: &dyn Fn(&mut Place)| {
        let mut place = Place::embedded();
        place.use_s3()?;
        change(&mut place);
        Some(Case::run(what, place).exits(CANNOT_WORK).says(["s3 http"]))
    };
    let missing = format!("missing-{}", unique());
    let cases = [
        refused("missing bucket", &|place| {
            place.set("store", "store-primary-bucket", &format!("{missing:?}"));
        })
        .map(|case| case.says([&missing])),
        refused("missing backup bucket", &|place| {
            place.set("store", "store-backup-bucket", &format!("{missing:?}"));
        })
        .map(|case| case.says([&missing])),
        refused("wrong secret", &|place| {
            place.variable("S3_SECRET_ACCESS_KEY", "falsch123")
        }),
        refused("wrong key", &|place| {
            place.variable("S3_ACCESS_KEY_ID", "nobody")
        }),
    ];
    try_all(cases.into_iter().flatten().collect());
}
