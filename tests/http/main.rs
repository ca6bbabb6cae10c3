//! What the HTTP listeners promise: to real clients, and to those that mean
//! harm. One executable for all of it: each would link the whole program again.

#[expect(
    dead_code,
    unused_imports,
    reason = "the services can do more than is needed here"
)]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod browsers;
mod clients;
mod control;
mod first_generation;
mod hardships;
mod health;
mod http;
mod loops;
mod scene;
mod second_generation;
mod uploads;
mod verify_success;
