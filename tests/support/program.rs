//! The program as its users run it: a process with arguments, output, exit
//! code and signals.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Nothing that a test waits for takes this long, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// The executable, without the environment of the test.
pub fn command() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("archive_ingest"));
    command.env_clear();
    command
}

/// A process that is running, and killed when this is dropped.
pub struct Process {
    child: Child,
    started: Instant,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<()>>,
    log: Arc<Log>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// What `run --json` prints.
#[derive(Debug, Deserialize)]
pub struct Summary {
    pub archived: u64,
    pub duplicates: u64,
    pub bytes: u64,
    pub seconds: f64,
    pub rate: f64,
    pub topics: std::collections::BTreeMap<String, TopicCount>,
    pub lost: Vec<Lost>,
}

#[derive(Debug, Deserialize)]
pub struct Lost {
    pub topic: String,
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct TopicCount {
    pub archived: u64,
    pub duplicates: u64,
    pub bytes: u64,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable was built with the tests");
        let mut out = child.stdout.take().expect("piped");
        let err = child.stderr.take().expect("piped");
        let log = Arc::new(Log::default());
        let kept = log.clone();
        Self {
            child,
            started: Instant::now(),
            stdout: Some(std::thread::spawn(move || {
                let mut bytes = vec![];
                out.read_to_end(&mut bytes).expect("a pipe is readable");
                String::from_utf8_lossy(&bytes).into_owned()
            })),
            stderr: Some(std::thread::spawn(move || kept.read(BufReader::new(err)))),
            log,
        }
    }

    /// Waits for a line on stderr that contains `text`.
    pub fn wait_for(&self, text: &str) {
        self.line_with(text);
    }

    /// The first line on stderr that contains `text`, once it is there.
    pub fn line_with(&self, text: &str) -> String {
        let lines = self.log.lines.lock().expect("whole");
        let (lines, waited) = self
            .log
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| {
                !lines.iter().any(|line| line.contains(text))
            })
            .expect("whole");
        assert!(
            !waited.timed_out(),
            "{text:?} was never said:\n{}",
            lines.join("\n")
        );
        let found = lines.iter().find(|line| line.contains(text));
        found.expect("waited for").clone()
    }

    /// What was said on stderr so far.
    pub fn log(&self) -> String {
        // Whole also when the thread that waits for a line has given up.
        let lines = self.log.lines.lock();
        lines.unwrap_or_else(|lock| lock.into_inner()).join("\n")
    }

    /// Bytes of memory that it has now.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a process of ours on Linux");
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .and_then(|kilobytes| kilobytes.parse().ok())
            .map(|kilobytes: u64| kilobytes * 1024)
            .expect("every process has some")
    }

    /// The most memory that the process has held so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes.expect("Linux").parse::<u64>().expect("a number") * 1024
    }

    /// Waits until it ends by itself; also the most memory that it held, in bytes.
    pub fn ended_with_peak(mut self) -> (Ended, u64) {
        let status = format!("/proc/{}/status", self.child.id());
        let mut peak = 0;
        // The kernel's own high-water mark: at most the last moments are missed.
        while self.is_running() {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
            peak = peak.max(kilobytes.map_or(0, |k| k.parse().expect("a number")));
            std::thread::sleep(Duration::from_millis(10));
        }
        (self.ended(), peak * 1024)
    }

    /// Threads that the process has now.
    pub fn threads(&self) -> usize {
        let tasks = format!("/proc/{}/task", self.child.id());
        std::fs::read_dir(tasks).expect("it runs").count()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// Sends a signal: `TERM`, `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill is on every Unix");
        assert!(status.success(), "SIG{name} could not be sent");
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Waits until it ends by itself.
    pub fn ended(mut self) -> Ended {
        let status = self.wait();
        let took = self.started.elapsed();
        let stdout = self.stdout.take().map(|thread| thread.join());
        if let Some(thread) = self.stderr.take() {
            thread.join().expect("it only reads");
        }
        Ended {
            code: status.code(),
            stdout: stdout.expect("taken once").expect("it only reads"),
            stderr: self.log.lines.lock().expect("whole").join("\n"),
            took,
        }
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "still running after {PATIENCE:?}:\n{}",
                self.log.lines.lock().expect("whole").join("\n")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what it had said:\n{}", self.log());
        }
        // Fails when it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn read(&self, from: impl BufRead) {
        for line in from.split(b'\n') {
            let line = line.expect("a pipe is readable");
            let line = String::from_utf8_lossy(&line).into_owned();
            self.lines.lock().expect("whole").push(line);
            self.more.notify_all();
        }
    }
}

impl Ended {
    /// Itself, when the exit code is 0.
    #[track_caller]
    pub fn clean(self) -> Self {
        assert_eq!(self.code, Some(0), "{self}");
        self
    }

    /// The one document that `run --json` printed.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit {:?} after {:.1?}\nstdout: {}\nstderr: {}",
            self.code, self.took, self.stdout, self.stderr
        )
    }
}
