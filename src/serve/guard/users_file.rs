//! The file of users on the disk: that nobody else may read it, that it is replaced whole, and that it is read again when it
//! has changed. Knows its text by [`Users`] alone.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::unistd::geteuid;
use tempfile::NamedTempFile;

use super::users::{Users, WrongLine};
use crate::event::{Follows, Stamp, lock};
use crate::net::is_passing;

/// Some twenty thousand users fit.
const FILE_BYTES: u64 = 4 << 20;

/// Why a file of users can not be used.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The system does not let it be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is no file.
    #[error("it is no file; name one that `mirrorball user add` has made")]
    NoFile,
    /// Others than its owner may read or write it.
    #[error("mode {0:04o} lets others in, and each line is as good as a password; close it: chmod 600")]
    Open(u32),
    /// Somebody else may change it.
    #[error(
        "it belongs to user id {0}, who could let in anybody; make it that of the program's user, or root's: chown"
    )]
    Foreign(u32),
    /// It is larger than any such file.
    #[error("it has over {FILE_BYTES} bytes; name a file that `mirrorball user add` has made")]
    Large,
    /// It is no text.
    #[error("it is not UTF-8; name a file that `mirrorball user add` has made")]
    NoText,
    /// A line of it is wrong.
    #[error("line {0}")]
    Line(#[from] WrongLine),
}

/// Reads the users of a file that its owner alone may read. Root may read anybody's, to change it.
///
/// # Errors
/// Why it can not be used.
pub fn read_users(file: &Path) -> Result<Users, UsersError> {
    read(file).map(|(users, _)| users)
}

fn read(file: &Path) -> Result<(Users, Stamp), UsersError> {
    if !fs::metadata(file)?.is_file() {
        return Err(UsersError::NoFile); // one that is opened might wait for ever
    }
    let opened = File::open(file)?;
    let about = opened.metadata()?;
    if about.mode() & 0o077 != 0 {
        return Err(UsersError::Open(about.mode() & 0o7777));
    }
    let (owner, reader) = (about.uid(), geteuid());
    if owner != 0 && owner != reader.as_raw() && !reader.is_root() {
        return Err(UsersError::Foreign(owner));
    }
    let mut content = Vec::new();
    opened.take(FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES {
        return Err(UsersError::Large);
    }
    let text = String::from_utf8(content).map_err(|_| UsersError::NoText)?;
    Ok((Users::parse(&text)?, Stamp::of(&about)))
}

/// Puts users in the place of those in a file, at once and whole, or makes the file. It stays its owner's; root gives a new
/// one to the owner of its directory, which is who is to read it.
///
/// # Errors
/// What the system does not let happen; the file is as it was.
pub fn write_users(file: &Path, users: &Users) -> io::Result<()> {
    let file = match fs::canonicalize(file) {
        Ok(behind_links) => behind_links,
        Err(error) if error.kind() == ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(error),
    };
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(directory)?; // its mode is 0600
    if geteuid().is_root() {
        let owner = fs::metadata(&file).or_else(|_| fs::metadata(directory))?;
        fchown(new.as_file(), Some(owner.uid()), Some(owner.gid()))?;
    }
    new.write_all(users.to_string().as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(&file).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

/// A file that is looked at again and again, and the users that it had when it was right.
pub(super) struct UsersFile {
    path: PathBuf,
    users: Mutex<Arc<Users>>,
    /// What was seen last: what goes on being wrong is told once.
    seen: Mutex<Option<Stamp>>,
}

impl UsersFile {
    pub fn open(path: PathBuf) -> Result<Self, UsersError> {
        let (users, stamp) = read(&path)?;
        Ok(Self { path, users: Mutex::new(Arc::new(users)), seen: Mutex::new(Some(stamp)) })
    }

    /// Who may log in now.
    pub fn users(&self) -> Arc<Users> {
        lock(&self.users).clone()
    }

    /// Reads the file if it has changed since it was seen last. What is wrong with it changes nothing.
    pub fn read_again(&self) -> Option<Result<usize, UsersError>> {
        let now = Stamp::at(&self.path);
        let mut seen = lock(&self.seen);
        if *seen == now {
            return None;
        }
        match read(&self.path) {
            Ok((users, stamp)) => {
                *seen = Some(stamp);
                let count = users.iter().len();
                *lock(&self.users) = Arc::new(users);
                Some(Ok(count))
            }
            Err(UsersError::Unreadable(error)) if is_passing(&error) => None, // the next look reads it
            Err(wrong) => {
                *seen = now;
                Some(Err(wrong))
            }
        }
    }
}

impl Follows for UsersFile {
    const TASK: &'static str = "UsersWatch";

    fn look(&self) {
        let file = self.path.display();
        match self.read_again() {
            None => {}
            Some(Ok(users)) => tracing::info!(%file, users, "the users have changed"),
            Some(Err(error)) => {
                tracing::warn!(%file, %error, "the users stay as they were: their file can not be used");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    fn of(names: &[&str]) -> Users {
        let mut users = Users::of_realm("Mirrorball").expect("a realm");
        names.iter().for_each(|name| assert_eq!(users.set(name, "open sesame", None), Ok(true)));
        users
    }

    fn a_file(names: &[&str]) -> (TempDir, PathBuf) {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("users");
        write_users(&file, &of(names)).expect("a file");
        (directory, file)
    }

    fn close_to(file: &Path, mode: u32) {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    #[test]
    fn a_file_is_its_owners_alone() {
        let (_directory, file) = a_file(&["anna"]);
        assert_eq!(fs::metadata(&file).expect("it is there").mode() & 0o7777, 0o600);
        assert_eq!(read_users(&file).expect("users"), of(&["anna"]));
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666] {
            close_to(&file, mode);
            let error = read_users(&file).expect_err("others could read it").to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("chmod 600"), "{error}");
        }
        close_to(&file, 0o400);
        assert!(read_users(&file).is_ok());
    }

    #[test]
    fn what_is_no_file_of_users_is_told() {
        let (directory, file) = a_file(&[]);
        assert!(matches!(read_users(directory.path()), Err(UsersError::NoFile)));
        let absent = directory.path().join("absent");
        assert!(
            matches!(read_users(&absent), Err(UsersError::Unreadable(error)) if error.kind() == ErrorKind::NotFound)
        );
        fs::write(&file, [0xff; 9]).expect("it is ours");
        assert!(matches!(read_users(&file), Err(UsersError::NoText)));
        fs::write(&file, "realm Mirrorball\nuser\n").expect("it is ours");
        let error = read_users(&file).expect_err("no user").to_string();
        assert!(error.starts_with("line 2: "), "{error}");
        File::options()
            .write(true)
            .open(&file)
            .and_then(|file| file.set_len(FILE_BYTES + 1))
            .expect("it is ours");
        assert!(matches!(read_users(&file), Err(UsersError::Large)));
    }

    #[test]
    fn a_file_is_replaced_behind_its_link_and_keeps_its_owner() {
        let (directory, file) = a_file(&["anna"]);
        let link = directory.path().join("link");
        symlink(&file, &link).expect("a link");
        if geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(4321), Some(1234)).expect("we are root");
        }
        let before = fs::metadata(&file).expect("it is there");
        write_users(&link, &of(&["anna", "ben"])).expect("a file");
        let after = fs::metadata(&file).expect("it is there");
        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_ne!(before.ino(), after.ino(), "whoever reads has the old one or the new one");
        assert_eq!((before.uid(), before.gid()), (after.uid(), after.gid()));
        assert_eq!(
            fs::read_dir(directory.path()).expect("a directory").count(),
            2,
            "nothing is left beside it"
        );
    }

    #[test]
    fn what_has_changed_is_read_again_and_what_is_wrong_is_told_once() {
        let (_directory, file) = a_file(&["anna"]);
        let watched = UsersFile::open(file.clone()).expect("users");
        assert!(watched.read_again().is_none());
        write_users(&file, &of(&["anna", "ben"])).expect("a file");
        assert!(matches!(watched.read_again(), Some(Ok(2))));
        assert!(watched.read_again().is_none());
        for spoil in
            [&|| fs::write(&file, "realm").expect("it is ours") as (), &|| close_to(&file, 0o644), &|| {
                fs::remove_file(&file).expect("it is ours")
            }] as [&dyn Fn(); 3]
        {
            spoil();
            assert!(matches!(watched.read_again(), Some(Err(_))));
            assert!(watched.read_again().is_none(), "it is told once");
            assert_eq!(*watched.users(), of(&["anna", "ben"]), "they go on");
        }
        write_users(&file, &of(&["carl"])).expect("a file");
        assert!(matches!(watched.read_again(), Some(Ok(1))));
        assert_eq!(*watched.users(), of(&["carl"]));
    }
}
