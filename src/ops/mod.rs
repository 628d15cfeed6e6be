//! The program around the relay: config, metrics, admin endpoint, commands, signals.

pub mod demo;
