//! Where recordings are: whether the program may write there, how much room there is, and what is kept of each channel. All their
//! indexes are read for that.

use std::io;
use std::path::Path;

use nix::unistd::{AccessFlags, access, geteuid};

use crate::storage::{self, ArchiveLimits, Inspection, Mended};
use crate::wire::recording::Stamp;

use super::super::config::{Config, user_name};
use super::finding::{Area, Finding, State};

/// Segments that are named, of those that are damaged.
const NAMED: usize = 3;
const REBUILD: &str = "mirrorball check --rebuild, while no program records there";

/// A finding for the directory, one for the room, and one for each channel.
pub fn look(config: &Config) -> Vec<Finding> {
    let Some(at) = &config.storage else { return Vec::new() };
    let root = &*at.directory;
    let is_held = storage::is_held(root).unwrap_or_default();
    let there = storage::channels_in(root).unwrap_or_default();
    let (recorded, others) = there.into_iter().partition::<Vec<_>, _>(|name| is_recorded(config, name));
    let inspect = |name: &String| (name.clone(), storage::inspect(root, name, is_held));
    let recorded: Vec<_> = recorded.iter().map(inspect).collect();
    let kept = recorded.iter().filter_map(|(_, kept)| kept.as_ref().ok()).map(|kept| kept.bytes).sum();
    let mut found = vec![of_directory(root, is_held)];
    found.extend(free(root).map(|free| of_room(free, kept, at.limits)));
    found.extend(recorded.iter().map(|(name, kept)| of_channel(name, kept)));
    // What else has a directory there may be nobody's recording.
    let others = others.iter().map(inspect).filter_map(|(name, kept)| Some((name, kept.ok()?)));
    found.extend(others.filter(|(_, kept)| kept.segments > 0).map(|(name, kept)| of_other(&name, &kept)));
    found
}

/// Makes damaged indexes again, and tells of which channel.
pub fn rebuild(config: &Config) -> Vec<Finding> {
    let Some(at) = &config.storage else { return Vec::new() };
    let root = &*at.directory;
    let of_all =
        |state, said: &str| vec![Finding::new(Area::Storage, root.display().to_string(), state, said)];
    match storage::rebuild(root) {
        Ok(None) => of_all(
            State::Fail,
            "nothing was made again, as another program records there; end that one first, or leave it to its next start",
        ),
        Err(error) => of_all(State::Fail, &format!("nothing was made again: {error}")),
        Ok(Some(channels)) => {
            let told = channels.iter().filter_map(|(name, mended)| of_mended(config, name, mended));
            let told: Vec<_> = told.collect();
            if told.is_empty() { of_all(State::Ok, "no index had to be made again") } else { told }
        }
    }
}

/// Whether the config has a channel recorded, or all of a directory that it may be of.
fn is_recorded(config: &Config, name: &str) -> bool {
    let is_it = config.channels.iter().any(|it| it.name == name && it.settings.keep.is_some());
    let mut directories = config.directories.iter().filter(|it| it.settings.keep.is_some());
    is_it
        || directories.any(|it| match &it.prefix {
            Some(prefix) => name.strip_prefix(&**prefix).is_some_and(|rest| rest.starts_with('/')),
            None => true,
        })
}

/// The nearest directory that is there says whether it can be made.
fn of_directory(root: &Path, is_held: bool) -> Finding {
    let new = |state, said: &str| Finding::new(Area::Storage, root.display().to_string(), state, said);
    let nearest = nearest(root);
    let user = user_name(geteuid());
    if !nearest.is_dir() {
        let said = format!(
            "nothing would be recorded: {} is no directory; name one in [storage] directory",
            nearest.display()
        );
        return new(State::Fail, &said);
    }
    if let Err(errno) = access(nearest, AccessFlags::W_OK | AccessFlags::X_OK) {
        let said = format!(
            "nothing would be recorded: user {user} may not write to {}: {}; give it to that user, or name another one in \
             [storage] directory",
            nearest.display(),
            io::Error::from(errno)
        );
        return new(State::Fail, &said);
    }
    match (nearest == root, is_held) {
        (false, _) => new(State::Ok, &format!("user {user} may make it")),
        (true, false) => new(State::Ok, &format!("user {user} may write to it")),
        (true, true) => {
            new(State::Note, "a program records there; another one waits until that has ended, and serves")
        }
    }
}

fn nearest(root: &Path) -> &Path {
    let named = root.ancestors().find(|path| path.symlink_metadata().is_ok());
    named.unwrap_or(Path::new("."))
}

fn free(root: &Path) -> Option<u64> {
    storage::free(nearest(root)).ok()
}

/// What is kept may be written again.
fn of_room(free: u64, kept: u64, ArchiveLimits { max_bytes, min_free, .. }: ArchiveLimits) -> Finding {
    let room = (kept + free).saturating_sub(min_free);
    let (free, stay) = (size(free), size(min_free));
    let is = format!("{free} free, of which {stay} stay so (min_free_bytes), and {} kept", size(kept));
    let (state, said) = match max_bytes {
        _ if room == 0 => (
            State::Fail,
            format!("nothing would be recorded: {is}; make room there, or lower min_free_bytes"),
        ),
        Some(most) if most > room => (
            State::Warn,
            format!(
                "max_bytes = {most} is more than there is room for, {}: {is}; lower it to {room}, or make room: else the oldest \
                 goes before that",
                size(room)
            ),
        ),
        _ => (State::Ok, is),
    };
    Finding::new(Area::Storage, "room", state, &said)
}

fn of_channel(name: &str, kept: &io::Result<Inspection>) -> Finding {
    let (state, said) = match kept {
        Err(error) => (State::Fail, format!("what is kept can not be read: {error}")),
        Ok(kept) if kept.damaged.is_empty() => (State::Ok, all_of(kept)),
        Ok(kept) => (
            State::Warn,
            format!(
                "{}, and of {} of them an index is damaged or gone: {}; {REBUILD}",
                all_of(kept),
                kept.damaged.len(),
                named(&kept.damaged)
            ),
        ),
    };
    Finding::new(Area::Storage, format!("channel \"{name}\""), state, &said)
}

fn of_other(name: &str, kept: &Inspection) -> Finding {
    let said = format!(
        "no longer recorded, and no part of max_bytes: {}; remove them where nobody wants them",
        all_of(kept)
    );
    Finding::new(Area::Storage, format!("channel \"{name}\""), State::Note, &said)
}

/// `None`: nothing was done.
fn of_mended(config: &Config, name: &str, mended: &io::Result<Mended>) -> Option<Finding> {
    let (state, said) = match mended {
        Ok(Mended { again, removed }) if again.is_empty() && removed.is_empty() => return None,
        Ok(Mended { again, removed }) => {
            let mut told = Vec::new();
            for (all, what) in [(again, "made again"), (removed, "removed, as nothing of it can be read")] {
                told.extend((!all.is_empty()).then(|| format!("{} {what}: {}", all.len(), named(all))));
            }
            (if removed.is_empty() { State::Ok } else { State::Note }, told.join(", and "))
        }
        Err(_) if !is_recorded(config, name) => return None,
        Err(error) => (State::Fail, format!("what is kept can not be made whole: {error}")),
    };
    Some(Finding::new(Area::Storage, format!("channel \"{name}\""), state, &said))
}

fn all_of(Inspection { segments, bytes, oldest, .. }: &Inspection) -> String {
    let since = oldest.map_or_else(String::new, |oldest| format!(" since {oldest}"));
    format!("{segments} segments{since}, {}", size(*bytes))
}

fn named(stamps: &[Stamp]) -> String {
    let mut names: Vec<_> = stamps.iter().take(NAMED).map(Stamp::to_string).collect();
    names.extend((stamps.len() > NAMED).then(|| "…".to_owned()));
    names.join(", ")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{bytes} bytes"),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn room_is_what_is_free_and_what_is_kept() {
        const GB: u64 = 1_000_000_000;
        let told = |free, kept, max_bytes| {
            let found = of_room(free * GB, kept * GB, ArchiveLimits { max_bytes, min_free: GB, viewers: 1 });
            (found.state, found.remedy)
        };
        assert_eq!(told(50, 0, None), (State::Ok, None));
        assert_eq!(told(50, 20, Some(69 * GB)), (State::Ok, None));
        let (state, remedy) = told(50, 20, Some(70 * GB));
        assert_eq!(state, State::Warn);
        assert!(remedy.is_some_and(|remedy| remedy.starts_with("lower it to 69000000000, or make room")));
        assert_eq!(told(1, 0, None).0, State::Fail);
        assert_eq!(told(0, 20, None).0, State::Ok, "the oldest goes");
    }

    #[test]
    fn channels_of_a_directory_are_recorded_as_that_is() {
        let text = "[storage]\ndirectory = \"/var/kept\"\n[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n\
                    record = \"2h\"\n[[channel]]\nname = \"sport\"\nsource = \"rtp://239.9.9.2:5004\"\n";
        let mut config = Config::parse(text, Path::new("a.toml")).expect("a right config");
        let recorded = |config: &Config| ["news", "sport", "hall/1"].map(|name| is_recorded(config, name));
        assert_eq!(recorded(&config), [true, false, false]);
        let settings = config.channels[0].settings.clone();
        let path = PathBuf::from("/etc/hall");
        config.directories.push(crate::ops::config::DirectoryConfig {
            path,
            prefix: Some("hall".into()),
            settings,
        });
        assert_eq!(recorded(&config), [true, false, true]);
    }

    #[test]
    fn a_directory_is_made_where_one_may_write() {
        let here = tempfile::TempDir::new().expect("a directory");
        let file = here.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let told = |path: &Path| of_directory(path, false).state;
        assert_eq!(told(here.path()), State::Ok);
        assert_eq!(told(&here.path().join("a/b")), State::Ok);
        assert_eq!(told(&file.join("b")), State::Fail);
        assert_eq!(of_directory(here.path(), true).state, State::Note);
    }
}
