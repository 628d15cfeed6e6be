//! Directories of films: whether the program may read there.

use std::fs;

use nix::unistd::geteuid;

use super::super::config::{Config, LibraryConfig, user_name};
use super::finding::{Area, Finding, State};

/// A finding for each.
pub fn look(config: &Config) -> Vec<Finding> {
    config.storage.iter().flat_map(|storage| &storage.libraries).map(of_library).collect()
}

fn of_library(LibraryConfig { name, directory, .. }: &LibraryConfig) -> Finding {
    let new = |state, said: &str| Finding::new(Area::Storage, format!("library {name:?}"), state, said);
    let (user, directory_named) = (user_name(geteuid()), directory.display());
    match fs::read_dir(directory) {
        Ok(_) => new(State::Ok, &format!("user {user} may read {directory_named}")),
        Err(error) => new(
            State::Fail,
            &format!(
                "none of its films would be played: user {user} can not read {directory_named}: {error}; make it, \
                 or name another one in directory"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Rule;

    #[test]
    fn a_directory_that_is_not_there_is_told_with_what_to_do() {
        let library = |directory: &str| LibraryConfig {
            name: "films".to_owned(),
            directory: directory.into(),
            rule: Rule::default(),
        };
        assert_eq!(of_library(&library("/")).state, State::Ok);
        let gone = of_library(&library("/nowhere/at/all"));
        assert_eq!((gone.state, &*gone.subject), (State::Fail, "library \"films\""));
        assert!(gone.remedy.is_some_and(|remedy| remedy.starts_with("make it, or name another one")));
    }
}
