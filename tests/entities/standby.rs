//! A standby shows commits late, and is refused.
//!
//! A server that is told to be a standby and has no primary stays one: it takes
//! questions and waits for what never comes.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use archive_ingest::config::{
    BoundConfig, KernelConfig, KernelKind, NamedBy, PostgresConfig, SslMode,
};
use archive_ingest::entities::{self, SourceError};

use crate::kernel::eventually;

/// The directory of initdb and postgres, which Debian keeps out of PATH.
fn programs() -> Option<PathBuf> {
    let found = (12..20)
        .rev()
        .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
        .find(|bin| bin.join("initdb").exists());
    if found.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "CI tests a standby too: install PostgreSQL's server programs"
        );
        eprintln!("SKIPPED: PostgreSQL's server programs are not installed");
    }
    found
}

/// PostgreSQL does not run as root: then as the user of its Debian package.
fn command(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ])
        .arg(program);
    command
}

struct Standby {
    server: Child,
    port: u16,
    directory: PathBuf,
}

impl Standby {
    fn start(programs: &Path) -> Self {
        let name = format!("standby-{:016x}", rand::random::<u64>());
        // Where another user can be, too.
        let directory = std::env::temp_dir().join(name);
        let made = command(&programs.join("initdb"))
            .current_dir("/")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&directory)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let signal = command(Path::new("/usr/bin/touch"))
            .arg(directory.join("standby.signal"))
            .status();
        assert!(signal.unwrap().success());
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .unwrap()
            .port();
        let server = command(&programs.join("postgres"))
            .current_dir("/")
            .arg("-D")
            .arg(&directory)
            .args(["-k", "", "-h", "127.0.0.1", "-p", &port.to_string()])
            .args(["-c", "logging_collector=off"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            server,
            port,
            directory,
        }
    }
}

impl Drop for Standby {
    fn drop(&mut self) {
        // A fast shutdown; SIGKILL would leave its shared memory behind.
        let asked = Command::new("kill")
            .arg("-INT")
            .arg(self.server.id().to_string())
            .status();
        let stopped = asked.and_then(|_| self.server.wait());
        let removed = fs::remove_dir_all(&self.directory);
        if let (Err(error), _) | (_, Err(error)) = (stopped, removed) {
            eprintln!("{}: {error}", self.directory.display());
        }
    }
}

#[test]
fn a_standby_is_refused() {
    let Some(programs) = programs() else {
        return;
    };
    let standby = Standby::start(&programs);
    let server = PostgresConfig {
        host: "127.0.0.1".into(),
        port: standby.port,
        name: "postgres".into(),
        username: "postgres".into(),
        password: None,
        sslmode: SslMode::Disable,
        sslrootcert: None,
        pool_size: 3,
        request_timeout_seconds: 60,
    };
    let source = entities::open(&KernelConfig {
        stanza: "k".into(),
        kind: KernelKind::Aether {
            server,
            named_by: NamedBy::Stanza,
        },
        bound: BoundConfig::default(),
    })
    .unwrap();
    // Until it has started it says so, which passes.
    let error = eventually("it answers", || {
        source.check().err().filter(|error| !error.is_passing())
    });
    let expected = format!(
        "postgres 127.0.0.1:{}/postgres: it is a standby, which shows commits late: name the primary server",
        standby.port
    );
    assert_eq!(error.to_string(), expected);
    let error = source.bound().unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }));
    assert_eq!(error.to_string(), expected);
}
