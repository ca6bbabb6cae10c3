//! Servers that are not there, or that say no.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use archive_ingest::catalogue::{self, Catalogue, CatalogueError};
use archive_ingest::config::{DatabaseConfig, PostgresConfig, SslMode};

use crate::messages::*;
use crate::place::{Place, server};

fn open(config: &PostgresConfig) -> Result<Box<dyn Catalogue>, CatalogueError> {
    catalogue::open(&DatabaseConfig::Postgres(config.clone()))
}

fn error_of(config: &PostgresConfig) -> CatalogueError {
    match open(config) {
        Ok(_) => panic!("opened {}:{}", config.host, config.port),
        Err(error) => error,
    }
}

/// A configuration for a server that need not exist.
fn config(port: u16) -> PostgresConfig {
    PostgresConfig {
        host: "127.0.0.1".into(),
        port,
        name: "archive".into(),
        username: "archiver".into(),
        password: Some("hunter2".into()),
        sslmode: SslMode::Disable,
        sslrootcert: None,
        pool_size: 2,
        request_timeout_seconds: 60,
    }
}

#[test]
fn a_wrong_password_is_told_at_once_with_user_and_host_and_never_the_password() {
    let Some(server) = server() else {
        return;
    };
    let wrong = PostgresConfig {
        password: Some("hunter2".into()),
        ..server.clone()
    };
    if open(&wrong).is_ok() {
        eprintln!("SKIPPED: the server trusts everybody");
        return;
    }
    let start = Instant::now();
    let error = error_of(&wrong);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, CatalogueError::Refused { .. }));
    let (at, user) = (format!("{}:{}", server.host, server.port), &server.username);
    assert_eq!(
        error.to_string(),
        format!(
            "postgres {at}/{}: {at} refuses user \"{user}\" (password authentication failed for user \"{user}\"): check db-username and DB_PASSWORD",
            server.name
        )
    );
    assert!(!format!("{error:?}").contains("hunter2"));

    let none = PostgresConfig {
        password: None,
        ..server.clone()
    };
    assert_eq!(
        error_of(&none).to_string(),
        format!(
            "postgres {at}/{}: {at} asks user \"{user}\" for a password: set DB_PASSWORD",
            server.name
        )
    );
}

#[test]
fn a_database_that_does_not_exist_is_named() {
    let Some(server) = server() else {
        return;
    };
    let missing = PostgresConfig {
        name: "no_such_archive".into(),
        ..server.clone()
    };
    let error = error_of(&missing);
    assert!(matches!(error, CatalogueError::Refused { .. }));
    let at = format!("{}:{}", server.host, server.port);
    assert_eq!(
        error.to_string(),
        format!(
            "postgres {at}/no_such_archive: {at} has no database \"no_such_archive\": create it, or correct db-name"
        )
    );
}

#[test]
fn a_port_where_nobody_listens_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let start = Instant::now();
    let error = error_of(&config(port));
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, CatalogueError::Unavailable { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "postgres 127.0.0.1:{port}/archive: cannot be reached (Connection refused (os error 111)): does the server run, and are db-host and db-port right?"
        )
    );
}

#[test]
fn a_server_that_takes_the_connection_and_says_nothing_is_given_up_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let start = Instant::now();
    let error = error_of(&config(port));
    let waited = start.elapsed().as_secs();
    assert!((9..15).contains(&waited), "{waited} s");
    assert!(matches!(error, CatalogueError::Unavailable { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "postgres 127.0.0.1:{port}/archive: cannot be reached (no answer within 10 s): does the server run, and are db-host and db-port right?"
        )
    );
}

#[test]
fn a_connection_that_the_server_ended_is_replaced() {
    let Some(place) = Place::postgres() else {
        return;
    };
    archive(&*place.catalogue, &[message(1)]);
    place.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'archive_ingest'",
    );
    archive(&*place.catalogue, &[message(2)]);
    assert_eq!(place.catalogue.count(&Default::default()).unwrap(), 2);
}

#[test]
fn a_schema_that_is_not_the_archives_is_refused_and_what_is_missing_named() {
    let Some(place) = Place::postgres() else {
        return;
    };
    place.execute("ALTER TABLE uuid_claims RENAME TO uuid_claims_elsewhere");
    let error = place.catalogue.claim(&[claim_of(&message(1))]).unwrap_err();
    assert!(matches!(error, CatalogueError::Refused { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "{}: its schema is not the archive's (relation \"uuid_claims\" does not exist): correct db-name, or start archive_ingest run, which makes the tables",
            place.catalogue.name()
        )
    );
}

#[test]
fn a_call_that_finds_every_connection_busy_waits_for_its_turn() {
    let Some(place) = Place::postgres() else {
        return;
    };
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..16)
            .map(|n| {
                scope.spawn({
                    let place = &place;
                    move || archive(&*place.catalogue, &[message(n)])
                })
            })
            .collect();
        calls.into_iter().for_each(|call| call.join().unwrap());
    });
    let ours = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'archive_ingest'";
    assert!(place.number(ours) <= 4, "db-pool-size is 4");
    assert_eq!(place.catalogue.count(&Default::default()).unwrap(), 16);
}

#[test]
fn a_commit_is_durable_also_where_the_database_says_otherwise() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let DatabaseConfig::Postgres(postgres) = &place.config else {
        unreachable!("Place::postgres");
    };
    place.execute(&format!(
        "ALTER DATABASE {0} SET synchronous_commit = off;
         ALTER DATABASE {0} SET default_transaction_isolation = 'serializable';",
        postgres.name
    ));
    place.execute(
        "CREATE TABLE seen (setting text);
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen VALUES (current_setting('synchronous_commit') || ', '
                || current_setting('transaction_isolation'));
            RETURN NULL;
         END $$;
         CREATE TRIGGER look AFTER INSERT ON uuid_claims EXECUTE FUNCTION look();",
    );
    place.open().claim(&[claim_of(&message(1))]).unwrap();
    let seen = "SELECT count(*) FROM seen WHERE setting = 'on, read committed'";
    assert_eq!(place.number(seen), 1);
}
