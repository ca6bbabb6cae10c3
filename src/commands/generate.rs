//! `completions` and `man`: made from what can be typed.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Exit;
use super::output::Stdout;
use crate::cli::Cli;

/// `completions`: prints the script for a shell.
pub fn completions(shell: Shell) -> anyhow::Result<Exit> {
    // `clap_complete` panics when it cannot write, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "archive_ingest", &mut script);
    print(&script)
}

/// `man`: prints the main page, or writes a page for each command into
/// `folder`, which is made where it is missing.
pub fn man(folder: Option<&Path>) -> anyhow::Result<Exit> {
    match folder {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page)
        }
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
                .with_context(|| format!("the pages cannot be written to {}", folder.display()))?;
            Ok(Exit::Clean)
        }
    }
}

fn print(text: &[u8]) -> anyhow::Result<Exit> {
    let mut out = Stdout::new();
    out.write_all(text)?;
    out.flush()?;
    Ok(Exit::Clean)
}
