//! Arguments → command → exit code; nothing else.

// Bad input gets a message, never a panic. Tests may fail loudly.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use archive_ingest::cli::Cli;
use archive_ingest::{commands, memory, open_files};

fn main() -> ExitCode {
    memory::set_up();
    open_files::raise_limit();
    let exit = match commands::execute(Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            // Where nobody reads stderr, `eprintln!` would panic.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            commands::exit_of(&error)
        }
    };
    ExitCode::from(exit.code())
}
