//! `mirrorball top`: the status page's view in a terminal. Asks the admin endpoint of a program that runs, and shows what it
//! answers: as text once, or on the whole screen each second.

mod client;
mod columns;
mod endpoint;
mod picker;
mod plain;
mod press;
mod run;
mod screen;
mod state;
mod told;
mod view;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use endpoint::Endpoint;
pub use run::once;
pub use screen::run;
