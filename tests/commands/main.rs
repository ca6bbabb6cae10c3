//! What the commands promise that work on an archive. One executable for all of
//! them: each would link the whole program again.

mod archive;
mod fetch_uuid;
mod generate;
mod list_archive;
mod packed;
mod topics;
mod verify;
mod verify_faults;
