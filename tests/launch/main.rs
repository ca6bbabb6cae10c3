//! What `launch` promises, with a container engine that only takes notes.

mod machine;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use machine::Machine;

#[test]
fn help_names_every_option() {
    let help = Machine::bare().launch(&["--help"]);
    assert_eq!(help.code, Some(0));
    for option in ["--build", "--logs", "--down", "--down --wipe", "--yes"] {
        assert!(help.stdout.contains(option), "{option}: {}", help.stdout);
    }
}

#[test]
fn without_a_container_engine_it_says_so_and_names_the_local_way() {
    let outcome = Machine::bare().launch(&[]);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome
            .stderr
            .starts_with("launch: no container engine can be used: docker is not installed, "),
        "{}",
        outcome.stderr
    );
    for way in [
        "cargo run --release -- run",
        "scripts/services up",
        "archive_ingest run -H hop-local -D local-db -S local-store",
    ] {
        assert!(outcome.stderr.contains(way), "{way}: {}", outcome.stderr);
    }
}

#[test]
fn an_engine_that_does_not_answer_is_named_as_such() {
    let outcome = Machine::with_docker().where_docker("asleep").launch(&[]);
    assert_eq!(outcome.code, Some(3));
    assert!(
        outcome.stderr.contains("docker does not answer"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_command_line_that_makes_no_sense_exits_2_with_one_line() {
    for arguments in [
        &["--biuld"][..],
        &["kafka"],
        &["--logs", "--down"],
        &["--wipe"],
        &["--yes"],
        &["--build", "--down"],
        &["--down", "--yes"],
    ] {
        let machine = Machine::with_docker();
        let outcome = machine.launch(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert_eq!(machine.docker_calls(), "", "{arguments:?}");
    }
}

#[test]
fn it_starts_everything_and_says_where_things_are() {
    let machine = Machine::with_docker();
    let outcome = machine.launch(&[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(machine.docker_calls().contains(" up --detach\n"));
    assert!(outcome.stdout.contains("http://localhost:9001"));
}

#[test]
fn the_first_launch_makes_passwords_that_are_new_and_readable_by_nobody_else() {
    let (one, other) = (Machine::with_docker(), Machine::with_docker());
    one.launch(&[]);
    other.launch(&[]);
    let secrets = ["DB_PASSWORD", "MINIO_ROOT_PASSWORD", "S3_SECRET_ACCESS_KEY"];
    let mut seen = Vec::new();
    for machine in [&one, &other] {
        let mode = fs::metadata(machine.file(".env")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        seen.extend(secrets.map(|name| machine.setting(name)));
    }
    assert!(seen.iter().all(|secret| secret.len() == 32), "{seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "each secret is another one");
}

#[test]
fn no_password_is_an_argument_or_printed() {
    let machine = Machine::with_docker();
    let outcome = machine.launch(&["--build"]);
    for name in ["DB_PASSWORD", "MINIO_ROOT_PASSWORD", "S3_SECRET_ACCESS_KEY"] {
        let secret = machine.setting(name);
        assert!(!machine.docker_calls().contains(&secret), "{name}");
        assert!(!outcome.stdout.contains(&secret), "{name}");
        assert!(!outcome.stderr.contains(&secret), "{name}");
    }
}

#[test]
fn a_later_launch_keeps_the_settings_and_adds_what_is_missing() {
    let machine = Machine::with_docker();
    machine.launch(&[]);
    // As of an older version, edited, without a newline at its end, and open.
    let edited = machine
        .env_file()
        .replace("KAFKA_PORT=9092", "KAFKA_PORT=19999")
        .replace("LOG_LEVEL=info\n", "");
    let edited = edited.trim_end();
    fs::write(machine.file(".env"), edited).unwrap();
    fs::set_permissions(machine.file(".env"), fs::Permissions::from_mode(0o644)).unwrap();

    machine.launch(&[]);
    assert_eq!(machine.env_file(), format!("{edited}\nLOG_LEVEL=info\n"));
    let mode = fs::metadata(machine.file(".env")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn data_whose_passwords_are_lost_are_left_alone() {
    let machine = Machine::with_docker().where_docker("has-data");
    let outcome = machine.launch(&[]);
    assert_eq!(outcome.code, Some(3));
    assert!(outcome.stderr.contains("put it back"), "{}", outcome.stderr);
    assert!(!machine.file(".env").exists());
    assert!(!machine.docker_calls().contains(" up "));
}

#[test]
fn variables_of_the_shell_do_not_override_the_settings() {
    let machine = Machine::with_docker();
    machine.launch_where(&[], &[("DB_PASSWORD", "another database's")]);
    assert_eq!(machine.db_password_of_compose(), "not set");
}

#[test]
fn down_keeps_the_data() {
    let machine = Machine::with_docker();
    assert_eq!(machine.launch(&["--down"]).code, Some(0));
    assert!(machine.docker_calls().ends_with(" down\n"));
    assert!(!machine.file(".env").exists(), "stopping makes no settings");
}

#[test]
fn wipe_asks_first() {
    let machine = Machine::with_docker();
    // Without a terminal there is nobody to ask.
    assert_eq!(machine.launch(&["--down", "--wipe"]).code, Some(2));
    assert_eq!(machine.docker_calls(), "");
    assert_eq!(machine.launch(&["--down", "--wipe", "--yes"]).code, Some(0));
    assert!(machine.docker_calls().ends_with(" down --volumes\n"));
}

#[test]
fn logs_are_those_of_the_named_services() {
    let machine = Machine::with_docker();
    assert_eq!(
        machine.launch(&["--logs", "archiver", "kafka"]).code,
        Some(0)
    );
    let calls = machine.docker_calls();
    assert!(
        calls.ends_with(" logs --follow --tail 100 archiver kafka\n"),
        "{calls}"
    );
}

#[test]
fn build_leaves_the_executable_at_the_top() {
    for (machine, origin) in [
        (Machine::with_docker().and_cargo(), "from cargo"),
        (Machine::with_docker(), "from the image"),
    ] {
        let outcome = machine.launch(&["--build"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let executable = fs::read_to_string(machine.file("archive_ingest")).unwrap();
        assert_eq!(executable, origin);
        assert!(machine.docker_calls().contains(" build archiver\n"));
    }
}

#[test]
fn build_needs_no_container_engine_for_the_executable() {
    let machine = Machine::bare().and_cargo();
    let outcome = machine.launch(&["--build"]);
    assert_eq!(outcome.code, Some(3));
    assert!(machine.file("archive_ingest").exists());
    assert!(outcome.stderr.contains("no container engine"));
}
