//! Stamps the program with the revision of the source that it is built from, for `--version` and
//! `mirrorball_build_info`.
//!
//! A debug build is stamped "debug", and so is not built anew after each commit.

use std::env;
use std::path::Path;
use std::process::Command;

/// Who builds without git, from an archive say, names the revision so.
const GIVEN: &str = "MIRRORBALL_REVISION";

fn main() {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    let given = env::var(GIVEN).ok().filter(|given| !given.is_empty());
    let revision = given.unwrap_or_else(|| match env::var("PROFILE").as_deref() {
        Ok("release") => of_git(),
        _ => "debug".to_owned(),
    });
    println!("cargo::rustc-env={GIVEN}={revision}");
}

/// The commit, with `-dirty` where a file that git knows differs from it.
fn of_git() -> String {
    // What git knows of the repository lies further up for a copy inside of another one.
    if !Path::new(".git").exists() {
        return "unknown".to_owned();
    }
    for changes in ["HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", changes]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    for source in ["build.rs", "Cargo.toml", "Cargo.lock", "src"] {
        println!("cargo::rerun-if-changed={source}");
    }
    git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]).unwrap_or("unknown".to_owned())
}

fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?;
    Some(said.trim().to_owned())
}
