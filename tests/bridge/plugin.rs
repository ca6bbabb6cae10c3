//! The plugin's own tests, with the agent's libraries.

use std::path::Path;
use std::process::Command;

use crate::support::skip::service;

#[test]
fn the_plugin_keeps_its_own_promises() {
    let Some(acapy) = service("TEST_ACAPY") else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/acapy-kafka-bridge");
    let output = Command::new(Path::new(&acapy).with_file_name("python"))
        .args(["-m", "unittest", "discover", "-s", "tests"])
        .current_dir(&package)
        .env("PYTHONPATH", &package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("a Python that runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
