//! A copy of what `launch` needs, on a machine that has exactly the programs
//! that a test gives it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What `launch` uses of a system beside bash.
const TOOLS: [&str; 15] = [
    "bash", "cat", "chmod", "cp", "dirname", "env", "grep", "mktemp", "mv", "od", "realpath", "rm",
    "sed", "sleep", "tr",
];

/// Answers as docker does when all is well, and writes down how it was called.
/// Files beside the record change its answers.
const DOCKER: &str = r#"#!/usr/bin/env bash
record=$(dirname "$0")/../record
printf '%s\n' "$*" >>"$record/calls"
case $* in
  info) [[ ! -e $record/asleep ]] ;;
  'volume inspect '*) [[ -e $record/has-data ]] ;;
  'compose version') ;;
  compose*) printf '%s' "${DB_PASSWORD-not set}" >"$record/db-password" ;;&
  compose*'ps -q archiver') echo container ;;
  'inspect '*) echo healthy ;;
  'create '*) echo container ;;
  'cp '*) printf 'from the image' >"$3" ;;
esac
"#;

const CARGO: &str = r#"#!/usr/bin/env bash
mkdir -p "${CARGO_TARGET_DIR:-target}/release"
printf 'from cargo' >"${CARGO_TARGET_DIR:-target}/release/archive_ingest"
"#;

pub struct Machine {
    root: TempDir,
}

/// How a `launch` ended.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    /// Neither a container engine nor cargo.
    pub fn bare() -> Self {
        let machine = Machine {
            root: tempfile::tempdir().unwrap(),
        };
        for directory in ["bin", "record", "repository/deploy"] {
            fs::create_dir_all(machine.path(directory)).unwrap();
        }
        for file in ["launch", "env.tpl", "deploy/compose.yaml"] {
            fs::copy(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(file),
                machine.file(file),
            )
            .unwrap();
        }
        for tool in TOOLS {
            symlink(find(tool), machine.path("bin").join(tool)).unwrap();
        }
        machine
    }

    pub fn with_docker() -> Self {
        Machine::bare().having("docker", DOCKER)
    }

    pub fn and_cargo(self) -> Self {
        symlink(find("mkdir"), self.path("bin/mkdir")).unwrap();
        self.having("cargo", CARGO)
    }

    /// With something that changes docker's answers.
    pub fn where_docker(self, what: &str) -> Self {
        fs::write(self.path("record").join(what), "").unwrap();
        self
    }

    fn having(self, program: &str, script: &str) -> Self {
        let path = self.path("bin").join(program);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub fn launch(&self, arguments: &[&str]) -> Outcome {
        self.launch_where(arguments, &[])
    }

    /// `launch` without a terminal, with these variables in its shell.
    pub fn launch_where(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let output = Command::new(self.file("launch"))
            .args(arguments)
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", self.path("bin"))
            .envs(variables.iter().copied())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// A file of the repository.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path("repository").join(name)
    }

    pub fn env_file(&self) -> String {
        fs::read_to_string(self.file(".env")).unwrap()
    }

    /// The value of a variable in `.env`.
    pub fn setting(&self, name: &str) -> String {
        let text = self.env_file();
        let prefix = format!("{name}=");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        line.unwrap_or_else(|| panic!("{name} is not in .env"))
            .to_owned()
    }

    /// How docker was called, a line a call.
    pub fn docker_calls(&self) -> String {
        fs::read_to_string(self.path("record/calls")).unwrap_or_default()
    }

    /// What compose saw as `DB_PASSWORD` in its environment.
    pub fn db_password_of_compose(&self) -> String {
        fs::read_to_string(self.path("record/db-password")).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }
}

fn find(tool: &str) -> PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|directory| directory.join(tool))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{tool} is not in PATH"))
}
