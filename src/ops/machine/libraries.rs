//! Films, and directories of them: whether the program may read there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::unistd::geteuid;

use super::super::config::{ChannelConfig, Config, LibraryConfig, Origin, user_name};
use super::finding::{Area, Finding, State};

/// A finding for each.
pub fn look(config: &Config) -> Vec<Finding> {
    let libraries = config.storage.iter().flat_map(|storage| &storage.libraries).map(of_library);
    libraries.chain(config.channels.iter().filter_map(of_channel)).collect()
}

/// Of one that is shown from a file, or for which one stands by.
fn of_channel(channel: &ChannelConfig) -> Option<Finding> {
    let source = match (&channel.origin, &channel.standby) {
        (Origin::Files(source), _) | (_, Some(source)) => source,
        _ => return None,
    };
    let new =
        |state, said: &str| Finding::new(Area::Storage, format!("channel {:?}", channel.name), state, said);
    let (user, path) = (user_name(geteuid()), source.path.display());
    Some(match read(&source.path) {
        Ok(()) => new(State::Ok, &format!("user {user} may read {path}")),
        Err(error) => new(
            State::Fail,
            &format!(
                "nothing would be shown of {path}: user {user} can not read it: {error}; put it there, or name another one"
            ),
        ),
    })
}

fn read(file: &Path) -> io::Result<()> {
    // What is no file may wait to be opened.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    File::open(file).map(drop)
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

    #[test]
    fn a_film_that_is_to_be_shown_is_there_or_it_is_told() {
        let text = |path: &str| {
            format!(
                "[storage]\ndirectory = \"/\"\n[[channel]]\nname = \"loop\"\nsource = \"file://{path}\"\n"
            )
        };
        let found = |path: &str| {
            let config = Config::parse(&text(path), Path::new("test.toml")).expect("it is right");
            look(&config).remove(0)
        };
        assert_eq!(found("/proc/self/stat").state, State::Ok);
        let gone = found("/nowhere.ts");
        assert_eq!((gone.state, &*gone.subject), (State::Fail, "channel \"loop\""));
        assert!(gone.remedy.is_some_and(|remedy| remedy.starts_with("put it there, or name another one")));
        assert_eq!(found("/proc/self").state, State::Fail, "a directory is none");
    }
}
