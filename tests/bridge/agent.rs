//! A real agent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{self, Answer};
use crate::scene::{eventually, free_address};
use crate::support::program::Process;

/// What was on an agent's bus.
#[derive(Clone, Debug, PartialEq)]
pub struct OnBus {
    pub topic: String,
    pub payload: Value,
}

/// Started when it is made, killed when it is dropped; what was on its bus is
/// in a file that outlives its processes.
pub struct Agent {
    folder: tempfile::TempDir,
    admin: SocketAddr,
    /// Its inbound transport.
    pub didcomm: SocketAddr,
    /// Where others are told to send their messages.
    endpoint: SocketAddr,
    acapy: String,
    key: Option<String>,
    options: Vec<String>,
    variables: Vec<(&'static str, String)>,
    process: Option<Process>,
}

impl Agent {
    /// With the plugin, which sends to this bridge. `key` is what its admin
    /// server asks for.
    pub fn with_plugin(
        acapy: &str,
        admin: SocketAddr,
        bridge: SocketAddr,
        plugin_config: &std::path::Path,
        key: Option<&str>,
    ) -> Self {
        let options = vec![
            "--plugin".to_owned(),
            "kafka_bridge".to_owned(),
            "--plugin-config".to_owned(),
            plugin_config.display().to_string(),
        ];
        let mut agent = Self::new(acapy, admin);
        agent.options = options;
        agent.variables = vec![
            ("BRIDGE_URL", format!("http://{bridge}")),
            // The key of every scene.
            ("BRIDGE_API_KEY", "the key".to_owned()),
        ];
        agent.key = key.map(str::to_owned);
        agent.begin();
        agent
    }

    /// Without it: its events are told to this URL.
    pub fn with_webhook(acapy: &str, url: &str) -> Self {
        let mut agent = Self::new(acapy, free_address());
        agent.options = vec!["--webhook-url".to_owned(), url.to_owned()];
        agent.begin();
        agent
    }

    /// With neither; others are told to send their messages to `endpoint`, or to
    /// itself.
    pub fn alone(acapy: &str, endpoint: Option<SocketAddr>) -> Self {
        let mut agent = Self::new(acapy, free_address());
        agent.endpoint = endpoint.unwrap_or(agent.didcomm);
        agent.begin();
        agent
    }

    /// Not started yet.
    fn new(acapy: &str, admin: SocketAddr) -> Self {
        let didcomm = free_address();
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            admin,
            didcomm,
            endpoint: didcomm,
            acapy: acapy.to_owned(),
            key: None,
            options: vec![],
            variables: vec![],
            process: None,
        }
    }

    /// Starts it, and waits until it is ready.
    pub fn begin(&mut self) {
        let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let plugins = format!(
            "{}:{}",
            repository.join("plugins/acapy-kafka-bridge").display(),
            repository.join("tests/python/acapy").display()
        );
        let (didcomm, admin) = (self.didcomm, self.admin);
        let mut command = Command::new(&self.acapy);
        command
            .args([
                "start",
                "--label",
                "agent",
                "--no-ledger",
                "--plugin",
                "bus_listener",
            ])
            .args([
                "--inbound-transport",
                "http",
                "127.0.0.1",
                &didcomm.port().to_string(),
            ])
            .args([
                "--outbound-transport",
                "http",
                "--endpoint",
                &format!("http://{}", self.endpoint),
            ])
            .args(["--admin", "127.0.0.1", &admin.port().to_string()])
            .args([
                "--auto-accept-invites",
                "--auto-accept-requests",
                "--auto-ping-connection",
            ])
            .args(&self.options)
            .env("PYTHONPATH", plugins)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BUS_LOG", self.folder.path().join("bus"))
            .env("HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        match &self.key {
            Some(key) => command.args(["--admin-api-key", key]),
            None => command.arg("--admin-insecure-mode"),
        };
        self.process = Some(Process::start(command));
        eventually("the agent is ready", || {
            let open = std::net::TcpStream::connect(admin).is_ok();
            (open && self.get("/status/ready").status == 200).then_some(())
        });
    }

    /// What it has logged since it was started.
    pub fn log(&self) -> String {
        self.process.as_ref().expect("it runs").log()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, Some(body))
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let key = self.key.as_ref().map(|key| format!("x-api-key: {key}"));
        let mut headers = vec!["Content-Type: application/json"];
        headers.extend(key.as_deref());
        let body = body.map(|body| body.to_string().into_bytes());
        http::ask(self.admin, method, path, &headers, body.as_deref())
    }

    pub fn create_invitation(&self) -> Value {
        let protocols = json!({"handshake_protocols": ["https://didcomm.org/didexchange/1.0"]});
        let answer = self.post("/out-of-band/create-invitation", &protocols);
        answer.with(200).json()["invitation"].clone()
    }

    pub fn receive_invitation(&self, invitation: &Value) {
        self.post("/out-of-band/receive-invitation", invitation)
            .with(200);
    }

    /// The id of its one connection, once that is complete.
    pub fn connection(&self) -> String {
        eventually("a connection", || {
            let connections = self.get("/connections").with(200).json();
            let connection = &connections["results"][0];
            let is_complete = connection["rfc23_state"] == "completed";
            is_complete.then(|| {
                connection["connection_id"]
                    .as_str()
                    .expect("an id")
                    .to_owned()
            })
        })
    }

    /// Puts an event on its bus; returns when everything that listens has had
    /// it.
    pub fn emit(&self, topic: &str, payload: &Value) {
        let path = format!("/emit?topic={}", topic.replace(':', "%3A"));
        self.post(&path, payload).with(200);
    }

    /// Everything that was on its bus so far.
    pub fn bus_log(&self) -> Vec<OnBus> {
        let text = std::fs::read_to_string(self.folder.path().join("bus")).unwrap_or_default();
        // The last line may be half written.
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        let read = |line: &str| {
            let line: Value = serde_json::from_str(line).ok()?;
            Some(OnBus {
                topic: line["topic"].as_str()?.to_owned(),
                payload: line["payload"].clone(),
            })
        };
        whole.lines().filter_map(read).collect()
    }

    /// Of topics that begin with this.
    pub fn bus_log_of(&self, prefix: &str) -> Vec<OnBus> {
        let mut log = self.bus_log();
        log.retain(|event| event.topic.starts_with(prefix));
        log
    }
}
