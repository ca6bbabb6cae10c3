//! A Kafka of a test's own, whose nodes it may stop, kill and freeze without
//! harm to other tests.

use std::fmt::Write as _;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::skip::service;
use super::unique;

/// A node is up within this time, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(90);

/// Node 0 is the controller too and the one that clients are pointed to; every
/// node is a broker. All end when this is dropped.
pub struct OwnKafka {
    /// The listener of node 0.
    pub address: String,
    nodes: Vec<Node>,
    // After the nodes, which write there.
    folder: tempfile::TempDir,
}

struct Node {
    folder: PathBuf,
    process: Option<Child>,
}

impl OwnKafka {
    /// `None`, said loudly, where Kafka's jars are not named.
    pub fn start(nodes: usize) -> Option<Self> {
        Self::start_behind(nodes, None)
    }

    /// As [`OwnKafka::start`], a single node that has another listener, which
    /// tells its clients to come back to the port `advertised`: where a link
    /// to that listener is. Given is the listener's own address too.
    pub fn start_with_link(advertised: u16) -> Option<(Self, String)> {
        let [port] = free_ports();
        let kafka = Self::start_behind(1, Some((port, advertised)))?;
        Some((kafka, format!("127.0.0.1:{port}")))
    }

    fn start_behind(count: usize, link: Option<(u16, u16)>) -> Option<Self> {
        service("TEST_KAFKA_LIBS")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [controller, address] = free_ports();
        let mut kafka = Self {
            address: format!("127.0.0.1:{address}"),
            nodes: vec![],
            folder,
        };
        let cluster = format!("{}AAAAAA", unique());
        for id in 0..count {
            let port = if id == 0 {
                address
            } else {
                free_ports::<1>()[0]
            };
            let home = kafka.folder.path().join(id.to_string());
            let settings = settings(&home, id, count, port, controller, link);
            prepare(&home, id, &cluster, &settings);
            kafka.nodes.push(Node {
                folder: home,
                process: None,
            });
            kafka.begin(id);
        }
        kafka.wait_for_nodes(count);
        Some(kafka)
    }

    /// The file that holds the log of a partition of a node, in its first segment.
    pub fn log_file(&self, id: usize, topic: &str, partition: i32) -> PathBuf {
        let folder = format!("data/{topic}-{partition}/00000000000000000000.log");
        self.nodes[id].folder.join(folder)
    }

    /// Starts a node that does not run.
    pub fn begin(&mut self, id: usize) {
        self.nodes[id].start();
    }

    /// SIGTERM: the node hands its partitions over, and ends.
    pub fn stop(&mut self, id: usize) {
        self.nodes[id].signal("TERM");
        self.nodes[id].wait();
    }

    /// SIGKILL.
    pub fn kill(&mut self, id: usize) {
        self.nodes[id].signal("KILL");
        self.nodes[id].wait();
    }

    /// The node does nothing any more, and nobody is told.
    pub fn freeze(&self, id: usize) {
        self.nodes[id].signal("STOP");
    }

    /// Undoes [`OwnKafka::freeze`].
    pub fn thaw(&self, id: usize) {
        self.nodes[id].signal("CONT");
    }

    /// Waits until so many nodes serve clients.
    pub fn wait_for_nodes(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        let client = self.client();
        loop {
            let answer = client.fetch_metadata(None, Duration::from_secs(2));
            if answer.is_ok_and(|cluster| cluster.brokers().len() == count) {
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until node `id` leads a partition of the topic.
    pub fn wait_for_leader(&self, topic: &str, id: usize) {
        let deadline = Instant::now() + PATIENCE;
        let client = self.client();
        loop {
            let answer = client.fetch_metadata(Some(topic), Duration::from_secs(2));
            let leads = answer.is_ok_and(|cluster| {
                let topics = cluster.topics().iter();
                let mut partitions = topics.flat_map(|topic| topic.partitions());
                partitions.any(|partition| partition.leader() == id as i32 + 1)
            });
            if leads {
                return;
            }
            assert!(Instant::now() < deadline, "{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The partitions of the topic that node `id` leads.
    pub fn partitions_led_by(&self, topic: &str, id: usize) -> Vec<i32> {
        let answer = self
            .client()
            .fetch_metadata(Some(topic), Duration::from_secs(10));
        let cluster = answer.expect("an answer");
        let topics = cluster.topics().iter();
        let partitions = topics.flat_map(|topic| topic.partitions());
        let led = partitions.filter(|partition| partition.leader() == id as i32 + 1);
        let mut led: Vec<i32> = led.map(|partition| partition.id()).collect();
        led.sort_unstable();
        led
    }

    fn client(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set_log_level(RDKafkaLogLevel::Critical)
            .create()
            .expect("a sound configuration")
    }

    fn logs(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let log = std::fs::read_to_string(node.folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.len().saturating_sub(15);
            let _ = writeln!(text, "{:?}:\n{}", node.folder, lines[end..].join("\n"));
        }
        text
    }
}

impl Node {
    fn start(&mut self) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka");
        let libraries = service("TEST_KAFKA_LIBS").expect("asked for before");
        let java = match std::env::var("JAVA_HOME") {
            Ok(home) => format!("{home}/bin/java"),
            Err(_) => "java".to_owned(),
        };
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("a folder of ours");
        let logging = scripts.join("log4j2.properties");
        let child = Command::new(java)
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .args(["-cp", &format!("{libraries}/*"), "kafka.Kafka"])
            .arg(self.folder.join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file"))
            .stderr(log)
            .spawn()
            .expect("Java is where Kafka's jars are");
        self.process = Some(child);
    }

    fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs");
        let status = Command::new("kill")
            .args([&format!("-{name}"), &process.id().to_string()])
            .status()
            .expect("kill is on every Unix");
        assert!(status.success(), "SIG{name} could not be sent");
    }

    fn wait(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.wait().expect("our child");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Fails when it has ended, which is as well.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What `kafka-storage format` would write, without starting a Java for it.
fn prepare(home: &Path, id: usize, cluster: &str, settings: &str) {
    let data = home.join("data");
    std::fs::create_dir_all(&data).expect("a folder of ours");
    let identity = format!("version=1\ncluster.id={cluster}\nnode.id={}\n", id + 1);
    std::fs::write(data.join("meta.properties"), identity).expect("a folder of ours");
    std::fs::write(home.join("server.properties"), settings).expect("a folder of ours");
}

/// What holds for every test broker, and after it what is this node's own: of
/// two lines with one name the last counts.
fn settings(
    home: &Path,
    id: usize,
    count: usize,
    port: u16,
    controller: u16,
    link: Option<(u16, u16)>,
) -> String {
    let common = include_str!("../../scripts/kafka/server.properties");
    let replicas = count.min(2);
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
    let mut advertised = listeners.clone();
    if let Some((port, through)) = link {
        let _ = write!(listeners, ",LINK://127.0.0.1:{port}");
        let _ = write!(advertised, ",LINK://127.0.0.1:{through}");
    }
    let mut roles = "broker";
    if id == 0 {
        roles = "broker,controller";
        let _ = write!(listeners, ",CONTROLLER://127.0.0.1:{controller}");
    }
    format!(
        "{common}\nnode.id={}\nprocess.roles={roles}\nlisteners={listeners}\n\
         advertised.listeners={advertised}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LINK:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         log.dirs={}\n\
         default.replication.factor={replicas}\n\
         offsets.topic.replication.factor={replicas}\n\
         replica.lag.time.max.ms=3000\n\
         leader.imbalance.check.interval.seconds=1\n",
        id + 1,
        home.join("data").display(),
    )
}

/// Ports that nobody listens on at this moment.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
