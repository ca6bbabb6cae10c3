//! A private archive of the known test data, as `run` leaves it on the embedded
//! defaults, and the commands on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use archive_ingest::config::{Config, Environment, Selection};
use serde_json::Value;

pub struct Archive {
    folder: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Archive {
    /// An empty folder.
    pub fn none() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn known() -> Self {
        let archive = Self::none();
        archive
            .run(&["run", "--until-eos", "--only", "archiver"])
            .clean();
        archive
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("archive_ingest"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .args(arguments);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// With this on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = assert_cmd::Command::from_std(self.command(arguments));
        let output = command.write_stdin(input).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Whoever reads its output leaves before the first byte.
    pub fn run_unread(&self, arguments: &[&str]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            stdout: vec![],
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn object(&self, key: &str) -> PathBuf {
        self.path("archive/store/archive").join(key)
    }

    /// Makes a file as old as an object that no archiver has in flight.
    pub fn make_old(&self, path: &Path) {
        let file = File::options().write(true).open(path).unwrap();
        let hour = Duration::from_secs(3600);
        file.set_modified(SystemTime::now() - hour).unwrap();
    }

    pub fn sql(&self, statements: &str) {
        let file = rusqlite::Connection::open(self.path("archive/catalogue.sqlite")).unwrap();
        file.execute_batch(statements).unwrap();
    }

    /// What the commands read here.
    pub fn config(&self) -> Config {
        let environment = Environment::from_variables([
            ("DB_PATH", self.path("archive/catalogue.sqlite")),
            ("STORE_PATH", self.path("archive/store")),
        ]);
        Config::load_in(&Selection::default(), environment).unwrap()
    }

    /// `list-archive --json`.
    pub fn rows(&self) -> Vec<Value> {
        self.run(&["list-archive", "--json"]).clean().json_lines()
    }

    /// The row of the message that was there on the stream, partition 0.
    pub fn row_at(&self, topic: &str, offset: i64) -> Value {
        let is_it =
            |row: &Value| row["topic"] == topic && row["partition"] == 0 && row["offset"] == offset;
        self.rows().into_iter().find(is_it).unwrap()
    }

    /// UUID and key of a message whose value is a line of text.
    pub fn text_message(&self) -> (String, String) {
        let row = self.row_at("known.values", 5);
        (text(&row["uuid"]), text(&row["key"]))
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Ran {
    #[track_caller]
    pub fn clean(self) -> Self {
        self.ended(0)
    }

    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Ended with this code, one line on stderr that says all of this, and
    /// nothing on stdout.
    #[track_caller]
    pub fn refused(self, code: i32, says: &[&str]) -> Self {
        let ran = self.ended(code);
        assert!(ran.stdout.is_empty(), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        ran.says(says)
    }

    #[track_caller]
    pub fn says(self, says: &[&str]) -> Self {
        for text in says {
            assert!(
                self.stderr.contains(text),
                "{text:?} is not in {}",
                self.stderr
            );
        }
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    pub fn json_lines(&self) -> Vec<Value> {
        let lines = self.lines();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
