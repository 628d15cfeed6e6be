//! Channels that programs add, change and remove: what they write is kept in a file of the config's (`[admin] channels_file`), which is read again then.
//! So it is judged as the config is, and is there after a restart.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value};
use tempfile::NamedTempFile;
use toml::{Table, Value as Toml};

use super::super::config::Config;
use super::reload::{Reloaded, Reloader};

const CHANNEL: &str = "channel";
const NAME: &str = "name";

/// Why a channel is not kept as it was asked for. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The config names no file for it.
    #[error(
        "the config names no file to keep channels in; write channels_file = \"channels.toml\" in [admin]"
    )]
    NoFile,
    /// It is in the config itself.
    #[error("channel {0:?} is in the config file itself; change it there")]
    Elsewhere(String),
    /// There is none of that name.
    #[error("there is no channel {0:?} that was added so")]
    Unknown(String),
    /// What was asked for is no channel.
    #[error("{0}")]
    Wrong(String),
    /// The file can not be read or written.
    #[error("{file} can not be {done}: {error}")]
    File {
        /// The file.
        file: String,
        /// What was to be done with it.
        done: &'static str,
        /// Why not.
        error: io::Error,
    },
}

impl Reloader {
    /// Adds a channel of these keys, or changes the one that was added by that name.
    ///
    /// # Errors
    /// Why it is as it was.
    pub fn put_channel(&self, name: &str, keys: &Map<String, Value>) -> Result<Reloaded, NotKept> {
        let mut table = Table::new();
        table.insert(NAME.to_owned(), Toml::String(name.to_owned()));
        for (key, value) in keys {
            let value = Toml::try_from(value).map_err(|error| NotKept::Wrong(format!("{key}: {error}")))?;
            if key == NAME && value.as_str() != Some(name) {
                return Err(NotKept::Wrong("name is another one than the path's; leave it out".to_owned()));
            }
            table.insert(key.clone(), value);
        }
        self.change_kept(name, |kept| {
            kept.retain(|channel| !is_called(channel, name));
            kept.push(Toml::Table(table));
            Ok(())
        })
    }

    /// Removes a channel that was added.
    ///
    /// # Errors
    /// Why it is as it was.
    pub fn remove_channel(&self, name: &str) -> Result<Reloaded, NotKept> {
        self.change_kept(name, |kept| {
            let before = kept.len();
            kept.retain(|channel| !is_called(channel, name));
            if kept.len() < before { Ok(()) } else { Err(NotKept::Unknown(name.to_owned())) }
        })
    }

    fn change_kept(
        &self,
        name: &str,
        change: impl FnOnce(&mut Vec<Toml>) -> Result<(), NotKept>,
    ) -> Result<Reloaded, NotKept> {
        let _changes = self.keeping();
        let config = self.config();
        let (own, kept) =
            config.file.as_deref().zip(config.channels_file.as_deref()).ok_or(NotKept::NoFile)?;
        let file = |done| move |error| NotKept::File { file: kept.display().to_string(), done, error };
        let before = match fs::read_to_string(kept) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(file("read"))?,
        };
        let mut document: Table = toml::from_str(&before)
            .map_err(|error| NotKept::Wrong(format!("{}: {}", kept.display(), error.message())))?;
        let mut channels = match document.remove(CHANNEL) {
            None => Vec::new(),
            Some(Toml::Array(channels)) => channels,
            Some(_) => return Err(NotKept::Wrong(format!("{}: write [[channel]]", kept.display()))),
        };
        let is_kept = channels.iter().any(|channel| is_called(channel, name));
        if !is_kept && config.channels.iter().any(|channel| channel.name == name) {
            return Err(NotKept::Elsewhere(name.to_owned()));
        }
        change(&mut channels)?;
        if !channels.is_empty() {
            document.insert(CHANNEL.to_owned(), Toml::Array(channels));
        }
        let after = toml::to_string(&document).map_err(|error| NotKept::Wrong(error.to_string()))?;
        Config::load_with(own, &after).map_err(|error| NotKept::Wrong(error.to_string()))?;
        write(kept, &after).map_err(file("written"))?;
        let reloaded = self.reload("the API");
        if let Reloaded::Refused(_) = reloaded {
            write(kept, &before).map_err(file("written"))?;
        }
        Ok(reloaded)
    }
}

fn is_called(channel: &Toml, name: &str) -> bool {
    channel.get(NAME).and_then(Toml::as_str) == Some(name)
}

/// Whole or not at all, whatever happens meanwhile.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let mut new = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file).map_err(|error| error.error)?;
    Ok(())
}
