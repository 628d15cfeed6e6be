//! The program around the relay: config, metrics, admin endpoint, commands, signals.

pub mod admin; // the HTTP endpoint for scrapes and probes, on its own thread

pub mod check; // `mirrorball check`: what a config would do, or all its errors

pub mod cli; // the command line, as typed

pub mod config; // mirrorball.toml: what was typed, then what is true

pub mod demo; // the built-in programme and its terminal
