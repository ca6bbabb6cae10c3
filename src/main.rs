//! Arguments → command → exit code; nothing else.

use std::process::ExitCode;

use clap::Parser;

use archive_ingest::cli::Cli;
use archive_ingest::commands;

fn main() -> ExitCode {
    let exit = match commands::execute(Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error:#}");
            commands::exit_of(&error)
        }
    };
    ExitCode::from(exit.code())
}
