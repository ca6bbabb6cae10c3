//! What the commands promise that work on an archive. One executable for all of
//! them: each would link the whole program again.

#[path = "../support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
mod support;

mod archive;
mod archived_twice;
mod damage;
mod evidence;
mod fetch_uuid;
mod generate;
mod holes;
mod list_archive;
mod nothing_checked;
mod operating;
mod packed;
mod ranges;
mod rebuild_catalogue;
mod rehearsals;
mod restore;
mod second_reader;
mod signing;
mod status;
mod status_check;
mod store_around;
mod take_over;
mod topics;
mod unreadable;
mod unreadable_files;
mod verify;
mod verify_against_kafka;
mod verify_faults;
mod verify_meanwhile;
mod verify_nightly;
