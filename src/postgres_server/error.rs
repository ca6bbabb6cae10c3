//! What an error of PostgreSQL means to the caller, decided in one place.

use std::error::Error;
use std::time::Duration;

use tokio_postgres::error::{DbError, SqlState};

use super::words::Words;
use crate::config::PostgresConfig;
use crate::database::DatabaseError;

/// What went wrong, before it is known of which database.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Driver(#[from] tokio_postgres::Error),
    #[error("{0}")]
    Migration(#[from] refinery::Error),
    /// Nothing was heard of the server for so long.
    #[error("no answer within {} s", .0.as_secs())]
    NoAnswer(Duration),
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Refused(String),
}

/// The database that messages name. Holds no password.
pub struct Target {
    name: String,
    server: String,
    database: String,
    username: String,
    has_password: bool,
    words: &'static Words,
}

impl Target {
    pub fn new(config: &PostgresConfig, words: &'static Words) -> Self {
        let server = format!("{}:{}", config.host, config.port);
        Self {
            name: format!("postgres {server}/{}", config.name),
            server,
            database: config.name.clone(),
            username: config.username.clone(),
            has_password: config.password.is_some(),
            words,
        }
    }

    pub fn words(&self) -> &'static Words {
        self.words
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server took the connection and said nothing for so long.
    pub fn no_answer(&self, after: Duration) -> Fault {
        Fault::Unavailable(format!(
            "cannot be reached (no answer within {} s): {}",
            after.as_secs(),
            self.is_it_there()
        ))
    }

    fn is_it_there(&self) -> String {
        let Words { host, port, .. } = self.words;
        format!("does the server run, and are {host} and {port} right?")
    }

    /// The error for the caller: one line, with what to do where that is known.
    pub fn error(&self, fault: Fault) -> DatabaseError {
        let fault = match fault {
            Fault::Driver(error) => self.driver(&error),
            Fault::Migration(error) => self.migration(&error),
            explained => explained,
        };
        let database = self.name.clone();
        match fault {
            Fault::Refused(cause) => DatabaseError::Refused { database, cause },
            fault => DatabaseError::Unavailable {
                database,
                cause: fault.to_string(),
            },
        }
    }

    fn migration(&self, error: &refinery::Error) -> Fault {
        match causes(error).find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()) {
            Some(error) => self.driver(error),
            None => Fault::Refused(format!(
                "its schema does not follow from this program's migrations: {error}"
            )),
        }
    }

    fn driver(&self, error: &tokio_postgres::Error) -> Fault {
        match error.as_db_error() {
            Some(answer) => self.server(answer),
            None => self.connection(error),
        }
    }

    /// The server's own words are those of its message; details and hints can
    /// hold data and lines.
    fn server(&self, answer: &DbError) -> Fault {
        let says = answer.message();
        let code = answer.code();
        match code {
            _ if code.code().starts_with("28") => Fault::Refused(format!(
                "{} refuses user \"{}\" ({says}): check {} and {}",
                self.server, self.username, self.words.username, self.words.password
            )),
            &SqlState::INVALID_CATALOG_NAME => Fault::Refused(format!(
                "{} has no database \"{}\": create it, or correct {}",
                self.server, self.database, self.words.name
            )),
            &SqlState::INSUFFICIENT_PRIVILEGE => Fault::Refused(format!(
                "user \"{}\" lacks a permission ({says}): grant it",
                self.username
            )),
            &SqlState::UNDEFINED_TABLE | &SqlState::UNDEFINED_COLUMN => Fault::Refused(format!(
                "{} ({says}): {}",
                self.words.wrong_schema, self.words.schema_remedy
            )),
            &SqlState::UNIQUE_VIOLATION => Fault::Refused(match answer.detail() {
                Some(detail) => format!("{says}: {detail}"),
                None => says.to_owned(),
            }),
            &SqlState::READ_ONLY_SQL_TRANSACTION => Fault::Unavailable(format!(
                "{} takes no writes now ({says}): is it a standby?",
                self.server
            )),
            _ if is_refusal(code) => Fault::Refused(format!("{says} (SQLSTATE {})", code.code())),
            _ => Fault::Unavailable(format!("{says} (SQLSTATE {})", code.code())),
        }
    }

    fn connection(&self, error: &tokio_postgres::Error) -> Fault {
        let cause = last_cause(error);
        // The driver tells its kinds of error only by their text.
        match error.to_string().as_str() {
            "error connecting to server" => Fault::Unavailable(format!(
                "cannot be reached ({cause}): {}",
                self.is_it_there()
            )),
            "invalid configuration" if !self.has_password => Fault::Refused(format!(
                "{} asks user \"{}\" for a password: set {}",
                self.server, self.username, self.words.password
            )),
            "invalid configuration" | "authentication error" => Fault::Refused(format!(
                "{} cannot authenticate user \"{}\": {cause}",
                self.server, self.username
            )),
            TLS if causes(error).any(|cause| cause.is::<std::io::Error>()) => {
                Fault::Unavailable(format!("the TLS handshake broke off: {cause}"))
            }
            TLS => Fault::Refused(format!(
                "no TLS connection ({cause}): check {} and {}",
                self.words.sslmode, self.words.sslrootcert
            )),
            "error communicating with the server" | "connection closed" => {
                Fault::Unavailable(format!("the connection was lost: {cause}"))
            }
            // The driver and the schema disagree about a type.
            kind if kind.starts_with("error serializing")
                || kind.starts_with("error deserializing")
                || kind.starts_with("invalid column") =>
            {
                Fault::Refused(format!("{}: {kind}: {cause}", self.words.wrong_schema))
            }
            kind => Fault::Unavailable(format!("{kind}: {cause}")),
        }
    }
}

/// What the driver calls an error of TLS.
const TLS: &str = "error performing TLS handshake";

/// Whether encryption was what failed.
pub fn is_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string() == TLS
}

/// Whether no retry helps: data and constraints (22, 23), unknown schema (3F),
/// syntax, names and permissions (42), what the server cannot do (0A), and what
/// a migration raises itself (P0). All else, the connection (08), a lost
/// transaction (40), resources (53), locks and limits (55, 57), and the system
/// (58), may be better the next time.
fn is_refusal(code: &SqlState) -> bool {
    ["22", "23", "3F", "42", "0A", "P0"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The innermost cause, which says the most, in one line.
fn last_cause(error: &tokio_postgres::Error) -> String {
    let text = causes(error).last().map(ToString::to_string);
    text.unwrap_or_default().replace('\n', " ")
}
