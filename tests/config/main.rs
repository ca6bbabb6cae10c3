//! What a user is promised of the configuration.

mod aether;
mod auth;
mod built_in;
mod commands;
mod errors;
mod kernel;
mod layers;
mod listen;
mod never_panics;
mod scene;
mod topics;
