//! One file a subcommand: the whole story of that command, top to bottom.

mod archive_metrics;
mod archiver;
mod asked_uuids;
pub mod bridge;
mod bridge_key;
mod bridge_port;
pub mod config;
mod decodings;
mod destination;
mod entity_types;
pub mod event_consume;
pub mod event_produce;
pub mod fetch_uuid;
pub mod generate;
mod json_text;
pub mod list_archive;
mod listeners;
mod logging;
mod loops;
mod message_json;
mod message_text;
pub mod open;
mod open_transactions;
mod output;
pub mod produce;
mod producer;
mod producer_control;
mod producer_metrics;
mod producer_watch;
pub mod quarantine;
pub mod rebuild_catalogue;
pub mod restore;
mod restore_report;
mod restore_select;
mod restore_target;
mod row;
pub mod run;
mod select;
pub mod serve;
pub mod skip;
pub mod status;
mod status_loops;
mod status_report;
mod table;
pub mod topics;
mod verifications;
pub mod verify;
mod verify_metrics;
mod verify_report;
mod verify_summary;
mod watch;

use crate::cli::{Cli, Command, ConfigCommand, EventCommand};
use crate::config::{Config, ConfigError};

/// How a command ended, as its exit code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done and clean.
    Clean,
    /// 1: done, and it found what must not be.
    Found,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: it could not do its work.
    Failed,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Failed => 3,
        }
    }

    /// The one that says more of what went wrong.
    pub fn worse(self, other: Self) -> Self {
        match self.code() < other.code() {
            true => other,
            false => self,
        }
    }
}

/// A command line that parses but makes no sense; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit code of a command that failed: the only place that decides it.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<ConfigError>() {
            return Exit::Usage;
        }
    }
    Exit::Failed
}

/// Does what the command line says.
pub fn execute(cli: Cli) -> anyhow::Result<Exit> {
    match dispatch(cli) {
        Err(error) if is_read_enough(&error) => Ok(Exit::Clean),
        ended => ended,
    }
}

/// Whoever read the output has left, as `head` does. Only of `verify` it is an
/// error: its exit 0 says that it saw everything.
fn is_read_enough(error: &anyhow::Error) -> bool {
    output::reader_has_left(error) && !error.is::<verify::NotFinished>()
}

fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let selection = open::selection(&cli.global, &cli.command);
    let json = cli.global.json;
    let config = || {
        let config = Config::load(&selection)?;
        logging::start(&config.log()?);
        anyhow::Ok(config)
    };
    match &cli.command {
        Command::Run(args) => run::run(&config()?, args, json),
        Command::Bridge(_) => bridge::bridge(&config()?, json),
        Command::Serve => serve::serve(&config()?, json),
        Command::Topics(args) => topics::list(&config()?, args, json),
        Command::ListArchive(args) => list_archive::list(&config()?, args, json),
        Command::FetchUuid(args) => fetch_uuid::fetch(&config()?, args, json),
        Command::Verify(args) => verify::verify(&config()?, args, json),
        Command::RebuildCatalogue(args) => rebuild_catalogue::rebuild(&config()?, args, json),
        Command::Restore(args) => restore::restore(&config()?, args, json),
        Command::Skip(args) => skip::skip(&config()?, args, json),
        Command::Status(args) => status::status(&config()?, args, json),
        Command::Produce(args) => produce::produce(&config()?, args, json),
        Command::Rebuild(args) => produce::rebuild(&config()?, args, json),
        Command::Reconcile(args) => produce::reconcile(&config()?, args, json),
        Command::Quarantine(command) => quarantine::quarantine(&config()?, command, json),
        Command::Event(EventCommand::Produce(args)) => {
            event_produce::produce(&config()?, args, json)
        }
        Command::Event(EventCommand::Consume(args)) => {
            event_consume::consume(&config()?, args, json)
        }
        Command::Config(ConfigCommand::Check(_)) => config::check(&selection, json),
        Command::Config(ConfigCommand::Show(_)) => config::show(&selection, json),
        Command::Completions { shell } => generate::completions(*shell),
        Command::Man { output } => generate::man(output.as_deref()),
    }
}
