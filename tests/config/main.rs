//! What a user is promised of the configuration.

mod auth;
mod built_in;
mod commands;
mod errors;
mod layers;
mod listen;
mod never_panics;
mod scene;
mod topics;
