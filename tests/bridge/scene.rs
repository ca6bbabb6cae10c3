//! A bridge of a test's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{self, Answer};
use crate::support::program::{self, Process};
use crate::support::unique;

/// Nothing that a test waits for takes this long, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Configuration in a folder of its own; the address stays when the process is
/// started again.
pub struct Scene {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
    bridge: BTreeMap<&'static str, String>,
    variables: BTreeMap<&'static str, String>,
    kafka: String,
    options: Vec<String>,
}

impl Scene {
    /// On the Kafka at this address, in a group of its own.
    pub fn on(kafka: &str) -> Self {
        let mut scene = Self {
            folder: tempfile::tempdir().expect("a folder"),
            address: free_address(),
            bridge: BTreeMap::new(),
            variables: BTreeMap::new(),
            kafka: kafka.to_owned(),
            options: vec!["-H".to_owned(), "kafka".to_owned()],
        };
        scene.set("bridge-groupname", &format!("{:?}", unique()));
        scene.variable("BRIDGE_API_KEY", "the key");
        scene
    }

    /// A key of `[bridge]`, the value as TOML.
    pub fn set(&mut self, key: &'static str, value: &str) {
        self.bridge.insert(key, value.to_owned());
    }

    pub fn variable(&mut self, name: &'static str, value: &str) {
        self.variables.insert(name, value.to_owned());
    }

    pub fn remove_variable(&mut self, name: &str) {
        self.variables.remove(name);
    }

    /// Of a file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The cluster is the one of the plugin's file, and so is all else in it.
    pub fn use_plugin_config(&mut self, text: &str) -> PathBuf {
        let file = self.write("plugins-config.yaml", text);
        self.options = vec!["--plugin-config".to_owned(), file.display().to_string()];
        file
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("a folder of ours");
        file
    }

    /// `bridge` with the options, not started yet.
    pub fn command(&self) -> std::process::Command {
        let mut command = self.command_of(&["bridge"]);
        command.args(&self.options);
        command
    }

    /// Another command in the same place, with an archive in its folder.
    pub fn command_of(&self, arguments: &[&str]) -> std::process::Command {
        let mut text = format!(
            "[listen]\napi-listen = \"off\"\nproducer-listen = \"off\"\nbridge-listen = \"{}\"\n\
             [kafka]\nhop-type = \"kafka\"\nhop-hostname = \"{}\"\n\
             hop-properties = {{ \"session.timeout.ms\" = 6000, \"heartbeat.interval.ms\" = 500, \
             \"topic.metadata.refresh.interval.ms\" = 500 }}\n[bridge]\nbridge-messages = \"plain\"\n",
            self.address, self.kafka
        );
        for (key, value) in &self.bridge {
            if *key == "bridge-messages" {
                text = text.replace("bridge-messages = \"plain\"", &format!("{key} = {value}"));
            } else {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        let file = self.write("housekeeping.toml", &text);
        let mut command = program::command();
        command.arg("--config").arg(file).args(arguments);
        command
            .envs(&self.variables)
            .current_dir(self.folder.path());
        command
    }

    /// Returns when it listens.
    pub fn start(&self) -> Process {
        let process = Process::start(self.command());
        process.wait_for("bridge on http://");
        process
    }

    /// Returns when records can come, too.
    pub fn start_with_agent(&self) -> Process {
        let process = self.start();
        process.wait_for("go to http://");
        process
    }

    pub fn get(&self, path: &str) -> Answer {
        http::ask(self.address, "GET", path, &[&self.key()], None)
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        http::ask(
            self.address,
            "POST",
            path,
            &[&self.key()],
            Some(body.as_bytes()),
        )
    }

    /// The header that shows the bridge's key.
    pub fn key(&self) -> String {
        format!("x-api-key: {}", self.variables["BRIDGE_API_KEY"])
    }

    pub fn status(&self) -> Value {
        self.get("/status").with(200).json()
    }
}

/// An address that nobody listens on at this moment.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

/// Waits until it gives something.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
