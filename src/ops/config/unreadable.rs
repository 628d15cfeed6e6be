//! Why a file can not be read, and what to do: who may not read what.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf, absolute};

use nix::unistd::{Gid, Group, Uid, User, geteuid};

use crate::serve::UsersError;

/// Directories that a unit of systemd does not see (ProtectHome=).
const HIDDEN: [&str; 3] = ["/home", "/root", "/run/user"];

/// What was wrong with reading `file`, in words that end in a remedy where there is one.
pub(super) fn why(file: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => no_permission(file),
        ErrorKind::NotFound => missing(file),
        ErrorKind::IsADirectory => "it is a directory; name the file in it".to_owned(),
        ErrorKind::NotADirectory => format!("{error}; a part of its path is a file"),
        _ => error.to_string(),
    }
}

/// What was wrong with a file of users.
pub(crate) fn why_no_users(file: &Path, error: &UsersError) -> String {
    match error {
        UsersError::Unreadable(error) => {
            let remedy = |who: &str, file: &str| format!("make it that user's: chown {who} {file}");
            why_not_private(file, error, remedy)
        }
        other => other.to_string(),
    }
}

/// The same of a private key, which everybody may read is none: it takes a group to let the program read another user's.
pub(super) fn why_no_key(file: &Path, error: &io::Error) -> String {
    why_not_private(file, error, |_, key| {
        format!("let a group that it is in read it, and nobody else: chgrp GROUP {key}; chmod 640 {key}")
    })
}

/// The same of a file that others may not read; `remedy` is for a user and that file.
fn why_not_private(file: &Path, error: &io::Error, remedy: impl FnOnce(&str, &str) -> String) -> String {
    let path = absolute(file).unwrap_or_else(|_| file.to_owned());
    if error.kind() != ErrorKind::PermissionDenied || closed_directory(&path).is_some() || !path.exists() {
        return why(file, error);
    }
    let who = user_name(geteuid());
    let remedy = remedy(&who, &path.display().to_string());
    format!("user {who} may not read {}; {remedy}", owned(&path))
}

fn missing(file: &Path) -> String {
    let directories = file.ancestors().skip(1).filter(|directory| !directory.as_os_str().is_empty());
    match directories.take_while(|directory| !directory.exists()).last() {
        Some(directory) => format!("there is no directory {}", directory.display()),
        None => "there is no such file".to_owned(),
    }
}

fn no_permission(file: &Path) -> String {
    let who = user_name(geteuid());
    let path = absolute(file).unwrap_or_else(|_| file.to_owned());
    if let Some(closed) = closed_directory(&path) {
        let why = format!("user {who} may not enter {}", owned(&closed));
        let is_hidden = HIDDEN.iter().any(|hidden| closed.starts_with(hidden));
        return match is_hidden {
            true => format!("{why}; put the file elsewhere, such as in /etc/mirrorball"),
            false => format!("{why}; let it: chmod o+x {}", closed.display()),
        };
    }
    let why = format!("user {who} may not read {}", owned(&path));
    let may_everybody = fs::metadata(&path).is_ok_and(|about| about.mode() & 0o004 != 0);
    match may_everybody {
        true => format!("{why}; a policy of the system forbids it (SELinux, AppArmor, or the unit)"),
        false => format!("{why}; let it: chmod o+r {}", path.display()),
    }
}

/// The first directory on the way that may not be passed.
fn closed_directory(path: &Path) -> Option<PathBuf> {
    let directories: Vec<_> = path.ancestors().skip(1).collect();
    let is_closed = |directory: &&&Path| {
        let inside = fs::metadata(directory.join("."));
        inside.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    directories.iter().rev().find(is_closed).map(|directory| directory.to_path_buf())
}

/// A path with its mode and owner, as far as they can be seen.
fn owned(path: &Path) -> String {
    let Ok(about) = fs::metadata(path) else { return path.display().to_string() };
    let group = Group::from_gid(Gid::from_raw(about.gid())).ok().flatten();
    let group = group.map_or_else(|| about.gid().to_string(), |group| group.name);
    let mode = about.mode() & 0o7777;
    format!("{} (mode {mode:04o}, of {}:{group})", path.display(), user_name(Uid::from_raw(about.uid())))
}

/// A user as it is told: by name, or by number where it has none.
pub(crate) fn user_name(id: Uid) -> String {
    User::from_uid(id).ok().flatten().map_or_else(|| id.to_string(), |user| user.name)
}
