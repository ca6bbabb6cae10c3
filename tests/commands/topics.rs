//! `topics`, as far as it goes without Kafka.

use crate::archive::Archive;

#[test]
fn archived_topics_are_those_of_the_catalogue() {
    let archive = Archive::known();
    for view in [&[][..], &["--json"]] {
        let topics = archive
            .run(&[&["topics", "--archived"], view].concat())
            .clean();
        let counts = archive
            .run(&[&["list-archive", "--count"], view].concat())
            .clean();
        assert_eq!(topics.text(), counts.text());
        assert!(topics.text().contains("known.values"));
    }
}

#[test]
fn a_broker_that_is_away_is_one_line_and_exit_3() {
    let archive = Archive::known();
    let mut command = archive.command(&["topics", "-H", "hop-local"]);
    let output = command
        .env("HOP_PORT", "1")
        .env("HOP_PROPERTIES", "socket.connection.setup.timeout.ms=1000")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("127.0.0.1:1") && output.stdout.is_empty(),
        "{stderr}"
    );
}
