//! An empty PostgreSQL database, gone when this is dropped.

use std::time::{Duration, Instant};

use crate::support::skip::service;
use crate::support::unique;

pub struct OwnDatabase {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub name: String,
}

impl OwnDatabase {
    pub fn create() -> Option<Self> {
        let database = Self {
            host: service("TEST_PG_HOST")?,
            port: service("TEST_PG_PORT")?.parse().expect("a port"),
            user: service("TEST_PG_USER")?,
            password: service("TEST_PG_PASSWORD")?,
            name: format!("test_{}", unique()),
        };
        database.on_server(&format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    fn on_server(&self, sql: &str) {
        self.execute_in("postgres", sql);
    }

    pub fn execute(&self, sql: &str) {
        self.execute_in(&self.name, sql);
    }

    fn execute_in(&self, database: &str, sql: &str) {
        self.try_in(database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn try_in(&self, database: &str, sql: &str) -> Result<(), postgres::Error> {
        postgres::Config::new()
            .host(&self.host)
            .port(self.port)
            .user(&self.user)
            .password(&self.password)
            .dbname(database)
            .connect(postgres::NoTls)
            .and_then(|mut client| client.batch_execute(sql))
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let deadline = Instant::now() + Duration::from_secs(30);
        // The server's own vacuum may be at work in it, which only a superuser
        // may end.
        while let Err(error) = self.try_in("postgres", &drop) {
            assert!(Instant::now() < deadline, "{drop}: {error}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
