//! What the files in deploy/, the Makefile and env.tpl promise each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap()
}

/// Every `${NAME}` and `${NAME:…}` of the compose file.
fn variables_of_compose() -> BTreeSet<String> {
    let text = read("deploy/compose.yaml");
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    lines
        .flat_map(|line| line.split("${").skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            rest[..end.unwrap()].to_owned()
        })
        .collect()
}

fn variables_of_template() -> BTreeSet<String> {
    let text = read("env.tpl");
    let names = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('=').unwrap().0.to_owned());
    names.collect()
}

#[test]
fn every_variable_of_the_compose_file_is_in_the_template_and_the_other_way_round() {
    assert!(variables_of_compose().contains("DB_PASSWORD"));
    assert_eq!(variables_of_compose(), variables_of_template());
}

#[test]
fn no_secret_is_written_down() {
    for line in read("env.tpl").lines() {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if name.ends_with("PASSWORD") || name.contains("SECRET") {
            assert!(["<random>", ""].contains(&value), "{line}");
        }
    }
}

/// The compose file as JSON; `None`, said loudly, where nothing here reads YAML.
fn compose() -> Option<Value> {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let can_read = Command::new("python3")
        .args(["-c", "import yaml"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !can_read {
        eprintln!(
            "SKIPPED: there is no python3 with yaml (apt-get install python3-yaml), \
             so the compose file is NOT checked"
        );
        return None;
    }
    let output = Command::new("python3")
        .args(["-c", script])
        .stdin(fs::File::open(repository().join("deploy/compose.yaml")).unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn the_deployment_is_kafka_postgresql_minio_and_the_archiver_with_health_checks() {
    let Some(compose) = compose() else { return };
    let services = compose["services"].as_object().unwrap();
    let names: Vec<_> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["kafka", "postgres", "minio", "buckets", "archiver"]);
    for name in ["kafka", "postgres", "minio", "archiver"] {
        let test = &services[name]["healthcheck"]["test"];
        assert!(test.as_array().is_some_and(|test| test.len() > 1), "{name}");
    }
    let image = |name: &str| services[name]["image"].as_str().unwrap().to_owned();
    assert!(image("kafka").ends_with("apache/kafka:4.1.0"));
    assert!(image("postgres").contains("postgres:15"));
    assert!(image("minio").contains("minio/minio:RELEASE."));
    assert!(read("env.tpl").contains("\nMINIO_CONSOLE_PORT=9001\n"));
}

#[test]
fn nothing_of_the_deployment_can_be_reached_from_another_machine() {
    let Some(compose) = compose() else { return };
    let mut published = 0;
    for (name, service) in compose["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap();
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
            published += 1;
        }
    }
    assert_eq!(published, 4);
}

#[test]
fn the_archiver_waits_for_its_services_and_has_no_right_that_it_does_not_need() {
    let Some(compose) = compose() else { return };
    let archiver = &compose["services"]["archiver"];
    let condition = |name: &str| archiver["depends_on"][name]["condition"].as_str();
    assert_eq!(condition("kafka"), Some("service_healthy"));
    assert_eq!(condition("postgres"), Some("service_healthy"));
    assert_eq!(condition("buckets"), Some("service_completed_successfully"));
    assert_eq!(archiver["read_only"], true);
    assert_eq!(archiver["cap_drop"][0], "ALL");
    assert!(archiver["environment"].get("MINIO_ROOT_PASSWORD").is_none());
}

#[test]
fn docker_compose_takes_the_compose_file() {
    let available = Command::new("docker")
        .args(["compose", "version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !available {
        eprintln!("SKIPPED: there is no `docker compose`, so it does NOT check the compose file");
        return;
    }
    let output = Command::new("docker")
        .args(["compose", "--env-file", "env.tpl"])
        .args(["--file", "deploy/compose.yaml", "config", "--quiet"])
        .current_dir(repository())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{complaint}"
    );
}

#[test]
fn the_image_is_built_with_the_toolchain_of_the_repository() {
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let version = toolchain["toolchain"]["channel"].as_str().unwrap();
    assert!(read("deploy/Dockerfile").contains(&format!("\nARG RUST_VERSION={version}\n")));
}

#[test]
fn the_engine_is_sent_what_the_dockerfile_copies_and_nothing_else() {
    let dockerfile = read("deploy/Dockerfile");
    let copied = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            words[..words.len() - 1].to_vec()
        })
        .collect::<BTreeSet<_>>();
    let ignore = read(".dockerignore");
    let mut rules = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(rules.next(), Some("*"));
    let sent: BTreeSet<_> = rules
        .map(|rule| rule.strip_prefix("!/").unwrap().to_owned())
        .collect();
    assert_eq!(copied, sent);
    for path in &sent {
        assert!(repository().join(path).exists(), "{path}");
    }
}

#[test]
fn the_image_does_not_run_as_root() {
    let dockerfile = read("deploy/Dockerfile");
    let last_stage = dockerfile.rsplit("\nFROM ").next().unwrap();
    assert!(last_stage.contains("\nUSER 10001:10001\n"));
    assert!(last_stage.contains("\nHEALTHCHECK "));
    assert!(last_stage.contains("\nSTOPSIGNAL SIGTERM\n"));
}

/// A committed copy of the Makefile, and an engine that writes down its calls.
struct Releaser {
    directory: TempDir,
}

impl Releaser {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let releaser = Releaser { directory };
        fs::copy(repository().join("Makefile"), releaser.path("Makefile")).unwrap();
        releaser.git(&["init", "--quiet"]);
        releaser.git(&["add", "Makefile"]);
        releaser.git(&["commit", "--quiet", "--message", "all"]);
        releaser
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn git(&self, arguments: &[&str]) {
        let status = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.org"])
            .args(["-c", "commit.gpgsign=false"])
            .args(arguments)
            .current_dir(self.directory.path())
            .status();
        assert!(status.unwrap().success());
    }

    /// `make` with these arguments: whether it went well, and what it told.
    fn make(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("make")
            .args(arguments)
            .arg("ENGINE=echo ENGINE")
            .current_dir(self.directory.path())
            .env_remove("TAG")
            .env_remove("IMAGE")
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(told).unwrap())
    }
}

const IMAGE: &str = "IMAGE=registry.example.org/group/archive_ingest";

#[test]
fn push_builds_and_pushes_the_named_version_of_what_is_committed() {
    let (went_well, told) = Releaser::new().make(&["push", "TAG=1.4.2", IMAGE]);
    assert!(went_well, "{told}");
    let build = told.find("ENGINE build --file deploy/Dockerfile --build-arg VERSION=1.4.2");
    let push = told.find("\nENGINE push registry.example.org/group/archive_ingest:1.4.2\n");
    assert!(build.unwrap() < push.unwrap(), "{told}");
}

#[test]
fn push_refuses_what_nobody_could_trace_back() {
    let dirty = Releaser::new();
    fs::write(dirty.path("uncommitted"), "").unwrap();
    for (releaser, arguments, why) in [
        (&Releaser::new(), &[IMAGE][..], "name the version"),
        (&Releaser::new(), &["TAG=latest", IMAGE], "neither 0.0.0"),
        (&Releaser::new(), &["TAG=0.0.0"], "with its registry"),
        (&dirty, &["TAG=0.0.0", IMAGE], "commit or remove"),
    ] {
        let (went_well, told) = releaser.make(&[&["push"], arguments].concat());
        assert!(!went_well, "{arguments:?}");
        assert!(told.contains(why), "{told}");
        assert!(!told.contains("ENGINE push"), "{told}");
    }
}

#[test]
fn make_alone_explains_itself() {
    let (went_well, told) = Releaser::new().make(&[]);
    assert!(went_well);
    assert!(told.contains("make container") && told.contains("make push"));
}
