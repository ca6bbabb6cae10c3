//! From the configuration to a connection.

use std::sync::mpsc;
use std::time::Duration;

use postgres::{Client, Config};
use postgres_native_tls::MakeTlsConnector;

use super::error::{Fault, ServerError, Target, is_tls};
use super::session::Session;
use super::tls;
use super::words::Words;
use crate::config::{PostgresConfig, SslMode};

/// From the name look-up to the end of the authentication.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// What a session of this connector is set to beside [`SETTINGS`].
    settings: &'static str,
}

impl Connector {
    /// `Refused` when the TLS settings cannot be followed.
    pub fn new(config: &PostgresConfig, words: &'static Words) -> Result<Self, ServerError> {
        let target = Target::new(config, words);
        let tls = tls::connector(config.sslmode, config.sslrootcert.as_deref(), words)
            .map_err(|cause| target.error(Fault::Refused(cause)))?;
        Ok(Self {
            config: driver_config(config),
            mode: config.sslmode,
            target,
            tls,
            settings: "",
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
    pub fn error(&self, fault: Fault) -> ServerError {
        self.target.error(fault)
    }

    /// A new connection, whose statements may take 60 s each.
    pub fn session(&self) -> Result<Session, Fault> {
        let mut client = self.client()?;
        client.batch_execute(SETTINGS)?;
        client.batch_execute("SET statement_timeout = '60s'")?;
        client.batch_execute(self.settings)?;
        Ok(Session::new(client))
    }

    /// A new connection for migrations: its statements take as long as they
    /// need, but wait at most a minute for a lock that somebody else holds,
    /// because everybody else waits behind them meanwhile.
    pub fn migrator(&self) -> Result<Client, Fault> {
        let mut client = self.client()?;
        client.batch_execute(SETTINGS)?;
        client.batch_execute(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
             SET lock_timeout = '60s'",
        )?;
        Ok(client)
    }

    /// libpq's `prefer` goes on without encryption where the server's cannot
    /// be used.
    fn client(&self) -> Result<Client, Fault> {
        match self.connect(self.config.clone()) {
            Err(Fault::Driver(error)) if self.mode == SslMode::Prefer && is_tls(&error) => {
                tracing::debug!(database = self.name(), "no TLS, connecting without it");
                let mut plain = self.config.clone();
                plain.ssl_mode(postgres::config::SslMode::Disable);
                self.connect(plain)
            }
            result => result,
        }
    }

    /// The driver's timeout is one for the TCP handshake. A server that takes
    /// the connection and then says nothing is waited for on a thread of its
    /// own, which ends when the server goes on or goes away.
    fn connect(&self, config: Config) -> Result<Client, Fault> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let tls = self.tls.clone();
        std::thread::Builder::new()
            .name("postgres-connect".into())
            .spawn(move || {
                // Nobody receives what came too late.
                let _ = sender.send(config.connect(tls));
            })
            .map_err(|error| Fault::Unavailable(format!("no thread to connect on: {error}")))?;
        match receiver.recv_timeout(CONNECT_TIMEOUT) {
            Ok(result) => Ok(result?),
            Err(_) => Err(self.target.no_answer(CONNECT_TIMEOUT)),
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
        .tcp_user_timeout(Duration::from_secs(60))
        // What the server has to say beside its answers is for its own log.
        .notice_callback(|_| {});
    if let Some(password) = &config.password {
        driver.password(password);
    }
    driver
}
