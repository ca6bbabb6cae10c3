//! One file a subcommand: the whole story of that command, top to bottom.

pub mod config;
mod table;
