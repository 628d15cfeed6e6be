//! The program around the relay: config, metrics, admin endpoint, commands, signals.

pub mod announced;
mod appliance; // all parts put together, and taken apart in order

mod serving; // what the RTSP server is told

pub mod line_up; // how channels come, change and go

pub mod directory; // session descriptions in a directory, each a channel

mod open_groups; // groups that are channels for who names them over HTTP

pub mod metrics; // every metric by name

pub mod admin; // the HTTP endpoint for scrapes and probes, on its own thread

pub mod readiness; // whether what is configured is served

pub mod watch; // whether the parts move: systemd is told, and who stands still is ended

pub mod open_files; // the limit on open files, and what a config takes of it

pub mod socket_buffers; // the buffers of sockets, where they are smaller than was asked for

pub mod outlet; // text that leaves the program, and whoever reads it holds up nobody

pub mod log; // the log, and panics in it

pub mod log_filter; // what is to be logged, by option and environment
pub mod log_format; // how its lines look: for a person, for journald, for a machine

pub mod check; // `mirrorball check`: what a config would do, or all its errors

pub mod cli; // the command line, as typed

pub mod commands; // what each command does

pub mod users; // `mirrorball user`: who may log in

pub mod signals; // SIGINT and SIGTERM, and those that are ignored

pub mod config; // mirrorball.toml: what was typed, then what is true

pub mod demo; // the built-in programme and its terminal

pub mod place; // where a group is joined, and what is in the way there

pub mod obstacles; // what on this machine is in the way of a config

pub mod listen; // `mirrorball listen`: what a group carries

pub mod probe; // `mirrorball probe`: a load client for any RTSP server
