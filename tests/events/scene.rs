//! A registry's subjects and Kafka's topics of one's own, and the program.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::program::{Ended, Process};
use crate::support::skip::service;
use crate::support::{Broker, Place};

pub const READING: &str = r#"{"type": "record", "name": "Reading", "fields": [
    {"name": "station", "type": "string"}, {"name": "level", "type": "long"}]}"#;

/// [`READING`] with a member more, and a default for data that lack it.
pub const READING_2: &str = r#"{"type": "record", "name": "Reading", "fields": [
    {"name": "station", "type": "string"}, {"name": "level", "type": "long"},
    {"name": "unit", "type": "string", "default": "cm"}]}"#;

/// As [`READING`], its level a text: nobody can read the one as the other.
pub const READING_TEXT: &str = r#"{"type": "record", "name": "Reading", "fields": [
    {"name": "station", "type": "string"}, {"name": "level", "type": "string"}]}"#;

pub struct Scene {
    pub broker: Broker,
    pub place: Place,
    pub registry: String,
}

impl Scene {
    /// `None`, said loudly, where a service is missing.
    pub fn new() -> Option<Self> {
        let broker = Broker::connect()?;
        let mut place = Place::local(&broker)?;
        let registry = service("TEST_REGISTRY_URL")?;
        place.set("registry", "registry-url", &format!("{registry:?}"));
        Some(Self {
            broker,
            place,
            registry,
        })
    }

    /// `event produce …` or `event consume …`, with the registry.
    pub fn start(&self, arguments: &[&str]) -> Process {
        Process::start(self.command(arguments))
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).ended()
    }

    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let with_registry: Vec<&str> = ["-R", "registry", "event"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        self.place.command(&with_registry)
    }

    /// `event produce` of course enrolments, which must end clean.
    #[track_caller]
    pub fn produce_enrolments(&self, topic: &str, student: &str, count: usize) -> Ended {
        let count = count.to_string();
        let arguments = [
            "produce",
            "--type",
            "course-enrollment",
            "--student",
            student,
            "--count",
            &count,
            "--topic",
            topic,
        ];
        self.run(&arguments).clean()
    }

    /// `event produce` of these lines; the schema's file is made.
    pub fn produce_lines(&self, topic: &str, schema: &str, lines: &str) -> Ended {
        let schema = self.file("value.avsc", schema);
        let arguments = ["produce", "--topic", topic, "--value-schema", &schema];
        run_on(self.command(&arguments), lines.as_bytes())
    }

    /// The path of a file with this text.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.place.write(name, text);
        path.to_str().expect("UTF-8").to_owned()
    }

    /// The first events of a topic, as `--json` prints them.
    #[track_caller]
    pub fn consume(&self, topic: &str, count: usize, more: &[&str]) -> Vec<Value> {
        let count = count.to_string();
        let arguments: Vec<&str> = ["consume", "--json", "--topic", topic, "--count", &count]
            .iter()
            .chain(more)
            .copied()
            .collect();
        events(&self.run(&arguments).clean().stdout)
    }

    /// What the registry does with later schemas of a subject.
    pub fn set_compatibility(&self, subject: &str, level: &str) {
        let url = format!("{}/config/{subject}", self.registry);
        let body = json!({"compatibility": level}).to_string();
        let status = std::process::Command::new("curl")
            .args(["-sf", "--noproxy", "*", "-X", "PUT", "-H"])
            .args(["Content-Type: application/vnd.schemaregistry.v1+json", "-d"])
            .args([&body, &url])
            .stdout(Stdio::null())
            .status();
        assert!(status.expect("curl").success(), "{url}");
    }
}

/// Runs a command with this standard input.
pub fn run_on(mut command: std::process::Command, input: &[u8]) -> Ended {
    let began = std::time::Instant::now();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the executable was built with the tests");
    // It may end without having read all of it.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("our child");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: began.elapsed(),
    }
}

/// The objects that `event consume --json` printed.
pub fn events(stdout: &str) -> Vec<Value> {
    let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stdout.lines().map(line).collect()
}

/// The data of their values.
pub fn values(events: &[Value]) -> Vec<Value> {
    let data = |event: &Value| event["value"]["data"].clone();
    events.iter().map(data).collect()
}

/// What is asked of everything that ends with an error.
#[track_caller]
pub fn assert_one_clear_line(ended: &Ended, code: i32, says: &str) {
    assert_eq!(ended.code, Some(code), "{ended}");
    let errors: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{ended}");
    assert!(errors[0].contains(says), "{says:?} is not in: {ended}");
    assert!(!ended.stderr.contains("panicked"), "{ended}");
}

/// A course enrolment's value, as the experiment has it.
pub fn enrolment(number: usize, user: &str) -> Value {
    json!({"course_key": format!("edX+{number}"), "is_enroll": number.is_multiple_of(2), "user": user})
}
