//! Python scripts of `tests/python`, run with the libraries that users have.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::skip::service;

/// A Python interpreter that the environment names.
pub struct Python(PathBuf);

impl Python {
    /// `None`, said loudly, where `variable` names none.
    pub fn of(variable: &str) -> Option<Self> {
        Some(Self(service(variable)?.into()))
    }

    /// As [`Python::run`], with this file as standard input.
    #[track_caller]
    pub fn run_on(&self, script: &str, arguments: &[&str], input: &Path) -> String {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
        let output = Command::new(&self.0)
            .arg(scripts.join(script))
            .args(arguments)
            .stdin(std::fs::File::open(input).expect("a file of ours"))
            .output()
            .expect("a Python that runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a script of `tests/python`, which must succeed; what it printed.
    #[track_caller]
    pub fn run(&self, script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
        let output = Command::new(&self.0)
            .arg(scripts.join(script))
            .args(arguments)
            .envs(variables.iter().copied())
            .output()
            .expect("a Python that runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }
}
