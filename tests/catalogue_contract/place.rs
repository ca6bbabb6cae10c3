//! Databases to test on: a SQLite file, and a PostgreSQL database of one's own.

#[path = "../support/skip.rs"]
pub mod skip;

use std::any::Any;

use archive_ingest::catalogue::{self, Catalogue, CatalogueError};
use archive_ingest::config::{DatabaseConfig, PostgresConfig, SqliteConfig, SslMode};
use uuid::Uuid;

/// A database that is gone when this is dropped.
pub struct Place {
    pub config: DatabaseConfig,
    /// Open and migrated.
    pub catalogue: Box<dyn Catalogue>,
    /// The directory or the database, which goes with it.
    _leaves: Box<dyn Any + Send + Sync>,
}

impl Place {
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = DatabaseConfig::Sqlite(SqliteConfig {
            path: directory.path().join("made/when missing/archive.db"),
        });
        Self::new(config, Box::new(directory))
    }

    /// `None`, said loudly, where no server is named.
    pub fn postgres() -> Option<Self> {
        let database = ServerDatabase::create()?;
        let config = DatabaseConfig::Postgres(database.config.clone());
        Some(Self::new(config, Box::new(database)))
    }

    fn new(config: DatabaseConfig, leaves: Box<dyn Any + Send + Sync>) -> Self {
        let catalogue = catalogue::open(&config).unwrap();
        catalogue.migrate().unwrap();
        Self {
            config,
            catalogue,
            _leaves: leaves,
        }
    }

    /// Another process's view of the same database.
    pub fn open(&self) -> Box<dyn Catalogue> {
        catalogue::open(&self.config).unwrap()
    }

    /// Another program's connection, where this is PostgreSQL.
    pub fn client(&self) -> postgres::Client {
        match &self.config {
            DatabaseConfig::Postgres(postgres) => client(postgres),
            DatabaseConfig::Sqlite(_) => panic!("not a server"),
        }
    }

    /// What another program does to the database.
    pub fn execute(&self, sql: &str) {
        match &self.config {
            DatabaseConfig::Sqlite(sqlite) => rusqlite::Connection::open(&sqlite.path)
                .unwrap()
                .execute_batch(sql)
                .unwrap(),
            DatabaseConfig::Postgres(postgres) => {
                client(postgres).batch_execute(sql).unwrap();
            }
        }
    }

    /// What another program reads: one number.
    pub fn number(&self, sql: &str) -> i64 {
        match &self.config {
            DatabaseConfig::Sqlite(sqlite) => rusqlite::Connection::open(&sqlite.path)
                .unwrap()
                .query_row(sql, [], |row| row.get(0))
                .unwrap(),
            DatabaseConfig::Postgres(postgres) => {
                client(postgres).query_one(sql, &[]).unwrap().get(0)
            }
        }
    }
}

/// An empty database on the server that the environment names.
pub struct ServerDatabase {
    pub config: PostgresConfig,
    server: PostgresConfig,
}

impl ServerDatabase {
    /// `None`, said loudly, where no server is named.
    pub fn create() -> Option<Self> {
        Self::create_with("")
    }

    /// With these options of CREATE DATABASE.
    pub fn create_with(options: &str) -> Option<Self> {
        let server = server()?;
        let name = format!(
            "archive_ingest_test_{}",
            Uuid::from_u128(rand::random()).simple()
        );
        client(&server)
            .batch_execute(&format!("CREATE DATABASE {name} {options}"))
            .unwrap();
        let config = PostgresConfig {
            name,
            ..server.clone()
        };
        Some(Self { config, server })
    }

    pub fn open(&self) -> Result<Box<dyn Catalogue>, CatalogueError> {
        catalogue::open(&DatabaseConfig::Postgres(self.config.clone()))
    }

    pub fn client(&self) -> postgres::Client {
        client(&self.config)
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.config.name);
        if let Err(error) = client(&self.server).batch_execute(&drop) {
            eprintln!("{drop}: {error}");
        }
    }
}

fn client(config: &PostgresConfig) -> postgres::Client {
    let mut client = postgres::Config::new();
    client
        .host(&config.host)
        .port(config.port)
        .dbname(&config.name)
        .user(&config.username);
    if let Some(password) = &config.password {
        client.password(password);
    }
    client.connect(postgres::NoTls).unwrap()
}

/// The server of TEST_PG_HOST, TEST_PG_PORT, TEST_PG_USER, TEST_PG_PASSWORD and
/// TEST_PG_DB, whose user may create databases.
pub fn server() -> Option<PostgresConfig> {
    let host = skip::service("TEST_PG_HOST")?;
    let or = |name: &str, otherwise: &str| std::env::var(name).unwrap_or(otherwise.into());
    Some(PostgresConfig {
        host,
        port: or("TEST_PG_PORT", "5432").parse().unwrap(),
        name: or("TEST_PG_DB", "postgres"),
        username: or("TEST_PG_USER", "postgres"),
        password: std::env::var("TEST_PG_PASSWORD").ok(),
        sslmode: SslMode::Prefer,
        sslrootcert: None,
        pool_size: 4,
        request_timeout_seconds: 60,
    })
}
