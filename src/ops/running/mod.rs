//! The parts of the program put together, and how channels come, change and go while it runs.

pub mod serving; // what the RTSP server is told

pub mod announced; // announced sessions, each a channel
pub mod directory; // session descriptions in a directory, each a channel
pub mod line_up; // how channels come, change and go
pub mod open_groups; // groups that are channels for who names them over HTTP

pub mod drain; // nobody is taken in any more

pub mod doors; // where clients come in
pub mod engine; // all of it, from a config

pub mod upgrade; // another process takes over while viewers watch

pub mod kept_channels; // channels that programs add and remove
pub mod reload; // what a config changes that is read again
pub mod reload_thread; // who does so, and when
pub mod reloads; // what became of that
