//! From the configuration to a connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postgres_native_tls::MakeTlsConnector;
use tokio_postgres::Config;
use tokio_postgres::config::ChannelBinding;

use super::error::{Fault, Target, is_tls};
use super::session::{MARGIN, Session};
use super::tls;
use super::words::Words;
use crate::config::{PostgresConfig, SslMode, is_this_machine};
use crate::database::DatabaseError;

/// From the name look-up to the end of the authentication.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a migration waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a session may stand still within a transaction. Nothing here waits
/// for anything between two statements of one: whoever does is frozen or gone,
/// and others wait for its locks.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a session is set to, whatever the server, the database or the role
/// say. Not as start-up options, which connection poolers refuse.
///
/// - what rooms say about races is said of read committed
/// - plans are made for the values at hand, which are very different from call
///   to call; servers before 12 have no such setting
/// - `Ok` means durable: a server that acknowledges before it has written is
///   told not to; one that waits for its replicas keeps doing so
const SETTINGS: &str = "
    SET application_name = 'archive_ingest';
    SET default_transaction_isolation = 'read committed';
    SELECT set_config(name, 'force_custom_plan', false) FROM pg_settings
    WHERE name = 'plan_cache_mode';
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off';
";

/// Makes connections to one database.
pub struct Connector {
    target: Target,
    config: Config,
    mode: SslMode,
    tls: MakeTlsConnector,
    /// For one statement.
    timeout: Duration,
    /// What a session of this connector is set to beside [`SETTINGS`].
    settings: &'static str,
    /// Whether the server is on this machine.
    is_local: bool,
    has_warned: AtomicBool,
}

impl Connector {
    /// `Refused` when the TLS settings cannot be followed.
    pub fn new(config: &PostgresConfig, words: &'static Words) -> Result<Self, DatabaseError> {
        let target = Target::new(config, words);
        let tls = tls::connector(config.sslmode, config.sslrootcert.as_deref(), words)
            .map_err(|cause| target.error(Fault::Refused(cause)))?;
        Ok(Self {
            config: driver_config(config),
            mode: config.sslmode,
            target,
            tls,
            timeout: Duration::from_secs(config.request_timeout_seconds.max(1)),
            settings: "",
            is_local: is_this_machine(&config.host),
            has_warned: AtomicBool::new(false),
        })
    }

    /// Sessions run these statements too before they are used.
    #[must_use]
    pub fn with_settings(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }

    pub fn words(&self) -> &'static Words {
        self.target.words()
    }

    pub fn name(&self) -> &str {
        self.target.name()
    }

    /// The error for the caller, which names the database.
    pub fn error(&self, fault: Fault) -> DatabaseError {
        self.target.error(fault)
    }

    /// A new connection, whose statements may take `request_timeout_seconds`
    /// each. The server breaks off what takes longer, and what stands still
    /// within a transaction, because a worker that vanished there must not keep
    /// its locks; a server that says nothing is given up a little later.
    pub fn session(&self) -> Result<Session, Fault> {
        let mut session = self.open(self.timeout + MARGIN)?;
        session.batch_execute(SETTINGS)?;
        session.batch_execute(&format!(
            "SET statement_timeout = '{}s';
             SET idle_in_transaction_session_timeout = '{}s'",
            self.timeout.as_secs(),
            IDLE_TIMEOUT.min(self.timeout).as_secs(),
        ))?;
        session.batch_execute(self.settings)?;
        Ok(session)
    }

    /// A new connection for migrations: its statements take as long as they
    /// need, but wait at most a minute for a lock that somebody else holds,
    /// because everybody else waits behind them meanwhile.
    pub fn migrator(&self) -> Result<Session, Fault> {
        let mut session = self.open(LOCK_TIMEOUT + MARGIN)?;
        session.batch_execute(SETTINGS)?;
        session.batch_execute(&format!(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
             SET lock_timeout = '{}s'",
            LOCK_TIMEOUT.as_secs()
        ))?;
        Ok(session)
    }

    /// `prefer` falls back to no encryption where the server's cannot be used,
    /// on this machine only: from elsewhere, somebody between may be the reason.
    fn open(&self, patience: Duration) -> Result<Session, Fault> {
        match self.connect(&self.config, patience) {
            Err(Fault::Driver(error))
                if self.mode == SslMode::Prefer && self.is_local && is_tls(&error) =>
            {
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        database = self.name(),
                        %error,
                        "TLS of PostgreSQL cannot be used, connecting without it"
                    );
                }
                let mut plain = self.config.clone();
                plain.ssl_mode(tokio_postgres::config::SslMode::Disable);
                self.connect(&plain, patience)
            }
            result => result,
        }
    }

    fn connect(&self, config: &Config, patience: Duration) -> Result<Session, Fault> {
        match Session::connect(config, self.tls.clone(), CONNECT_TIMEOUT, patience) {
            Err(Fault::NoAnswer(after)) => Err(self.target.no_answer(after)),
            result => result,
        }
    }
}

fn driver_config(config: &PostgresConfig) -> Config {
    let mut driver = Config::new();
    driver
        .host(&config.host)
        .port(config.port)
        .dbname(&config.name)
        .user(&config.username)
        .ssl_mode(tls::encryption(config.sslmode, &config.host))
        .application_name("archive_ingest")
        .connect_timeout(CONNECT_TIMEOUT)
        // A peer that is gone is noticed within a minute: 30 s of silence and
        // three probes 10 s apart, or 60 s without an acknowledgement.
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(60));
    if let Some(password) = &config.password {
        driver.password(password);
        // The driver then answers neither a request for a cleartext or MD5
        // password nor plain SCRAM: only a server that knows the password, and
        // holds this end of the TLS connection, can go on.
        if tls::is_unverified(config) && !is_this_machine(&config.host) {
            driver.channel_binding(ChannelBinding::Require);
        }
    }
    driver
}
