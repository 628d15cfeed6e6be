//! The command line, and what is behind each command.

pub mod cli; // the command line, as typed

pub mod check; // `mirrorball check`: what a config would do, or all its errors

pub mod users; // `mirrorball user`: who may log in

pub mod demo; // `mirrorball demo`: the built-in programme and its terminal

pub mod probe; // `mirrorball probe`: a load client for any RTSP server

pub mod listen; // `mirrorball listen`: what a group carries

pub mod top; // `mirrorball top`: the status page in a terminal

pub mod manual; // `mirrorball man` and `completions`: what packages hold of the command line

pub mod signals; // SIGINT and SIGTERM, and those that are ignored

pub mod commands; // what each command does
