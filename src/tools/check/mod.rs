//! `mirrorball check`: whether this machine can do what a config wants, as a table or for programs, and, by `--plan`, what that is. Joins
//! nothing and listens to nothing, so that a config may be checked beside the program that runs.

mod json; // the same for programs
mod plan; // what the config would do
mod plan_channel; // the same of one channel
mod report; // what was found
mod table; // the same for people
mod words; // how a plan says where

pub use json::without_report;
pub use plan::{Plan, plan};
pub use report::{Report, check};
