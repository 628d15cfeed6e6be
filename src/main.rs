//! Parse, load, build, run: nothing else.

use std::process::ExitCode;

use clap::Parser;
use mirrorball::tools::{cli::Cli, commands};

fn main() -> ExitCode {
    ExitCode::from(commands::run(Cli::try_parse()))
}
