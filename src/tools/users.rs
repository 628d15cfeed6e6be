//! `mirrorball user`: adds, removes and lists those who may log in, in their file. Knows no config and no running program,
//! which looks at the file by itself.

use std::fmt::Write as _;
use std::io::{self, BufRead, ErrorKind, IsTerminal};
use std::path::Path;

use super::cli::{UserAdd, UserCommand, UserFile, UserRemove};
use crate::ops::config::why_no_users;
use crate::serve::{Users, UsersError, read_users, write_users};

/// The realm of a new file, where none is named.
const REALM: &str = "Mirrorball";
/// What is read of a line that should be a password.
const PASSWORD_LINE: u64 = 1024;

/// Does as it is told; what there is to say of it, or what was wrong and the remedy.
pub fn run(command: &UserCommand) -> Result<String, String> {
    match command {
        UserCommand::Add(args) => add(args, || password(&args.name)),
        UserCommand::Remove(args) => remove(args),
        UserCommand::List(UserFile { file }) => Ok(list(&read(file)?)),
    }
}

fn read(file: &Path) -> Result<Users, String> {
    read_users(file).map_err(|error| format!("{}: {}", file.display(), why_no_users(file, &error)))
}

fn write(file: &Path, users: &Users) -> Result<(), String> {
    write_users(file, users).map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "; make its directory first",
            ErrorKind::PermissionDenied => {
                "; it is replaced whole, so who runs this has to own its directory too"
            }
            _ => "",
        };
        format!("{} can not be written: {error}{remedy}", file.display())
    })
}

fn add(args: &UserAdd, password: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    let UserAdd { name, channels, realm, at: UserFile { file } } = args;
    let is_made =
        matches!(read_users(file), Err(UsersError::Unreadable(error)) if error.kind() == ErrorKind::NotFound);
    let mut users = match is_made {
        true => Users::of_realm(realm.as_deref().unwrap_or(REALM))?,
        false => read(file)?,
    };
    if let Some(other) = realm.as_deref().filter(|realm| *realm != users.realm()) {
        return Err(format!(
            "{}: the realm is {:?}, and all passwords are hashed with it; leave --realm out, or make another file for {other:?}",
            file.display(),
            users.realm(),
        ));
    }
    let is_new = users.set(name, &password()?, channels.clone())?;
    write(file, &users)?;
    let channels = users.find(name).map(|user| user.channels().to_string()).unwrap_or_default();
    let mut said = String::new();
    if is_made {
        let _ = writeln!(said, "{} is made, with the realm {:?}", file.display(), users.realm());
    }
    let done = if is_new { "may log in" } else { "has a new password" };
    let _ = writeln!(said, "{name} {done}; channels: {channels}"); // writing to a String does not fail
    Ok(said)
}

fn remove(args: &UserRemove) -> Result<String, String> {
    let UserRemove { name, at: UserFile { file } } = args;
    let mut users = read(file)?;
    if !users.remove(name) {
        let names: Vec<_> = users.iter().map(|(name, _)| name).take(20).collect();
        return Err(format!("{}: there is no user {name:?}; there are {}", file.display(), names.join(", ")));
    }
    write(file, &users)?;
    Ok(format!("{name} may log in no more\n"))
}

fn list(users: &Users) -> String {
    let width = users.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max("USER".len());
    let mut table = format!("realm {:?}\n{:width$}  CHANNELS\n", users.realm(), "USER");
    for (name, user) in users.iter() {
        let _ = writeln!(table, "{name:width$}  {}", user.channels()); // writing to a String does not fail
    }
    table
}

/// A password that is typed twice and not shown; or, where nobody types, the line on stdin. It is never an argument: all on
/// the machine may read those.
fn password(name: &str) -> Result<String, String> {
    let no_terminal = |error: io::Error| format!("the password can not be read: {error}; write it to stdin");
    if !io::stdin().is_terminal() {
        return password_line(io::stdin().lock()).map_err(no_terminal);
    }
    let first = rpassword::prompt_password(format!("Password for {name}: ")).map_err(no_terminal)?;
    let again = rpassword::prompt_password("Once more: ").map_err(no_terminal)?;
    if first == again {
        Ok(first)
    } else {
        Err("these are two passwords; type the same one twice".to_owned())
    }
}

fn password_line(from: impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.take(PASSWORD_LINE).read_line(&mut line)?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Scope;
    use std::fs;
    use std::path::PathBuf;
    use tempfile::TempDir;

    struct Place {
        directory: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { directory: TempDir::new().expect("a directory") }
        }

        fn file(&self) -> PathBuf {
            self.directory.path().join("users")
        }

        fn add(
            &self,
            name: &str,
            password: &str,
            channels: Option<&str>,
            realm: Option<&str>,
        ) -> Result<String, String> {
            let channels = channels.map(|text| Scope::parse(text).expect("names"));
            let at = UserFile { file: self.file() };
            let args = UserAdd { name: name.into(), channels, realm: realm.map(str::to_owned), at };
            add(&args, || Ok(password.to_owned()))
        }

        fn remove(&self, name: &str) -> Result<String, String> {
            run(&UserCommand::Remove(UserRemove { name: name.into(), at: UserFile { file: self.file() } }))
        }

        fn list(&self) -> Result<String, String> {
            run(&UserCommand::List(UserFile { file: self.file() }))
        }
    }

    #[test]
    fn users_are_added_changed_listed_and_removed() {
        let place = Place::new();
        let said = place.add("anna", "open sesame", None, Some("My Edge")).expect("a file is made");
        assert!(said.contains("is made, with the realm \"My Edge\"\nanna may log in; channels: *"), "{said}");
        place.add("benedict", "sesame open", Some("news,uk/sport"), None).expect("another");
        let said = place.add("benedict", "open, sesame", None, Some("My Edge")).expect("a change");
        assert_eq!(said, "benedict has a new password; channels: news,uk/sport\n");
        let table = "realm \"My Edge\"\nUSER      CHANNELS\nanna      *\nbenedict  news,uk/sport\n";
        assert_eq!(place.list().as_deref(), Ok(table));
        assert_eq!(place.remove("anna").as_deref(), Ok("anna may log in no more\n"));
        assert_eq!(place.list().expect("a file").lines().count(), 3);
    }

    #[test]
    fn what_can_not_be_done_is_told_with_a_remedy_and_changes_nothing() {
        let place = Place::new();
        let error = place.list().expect_err("no file");
        assert!(error.contains("users: there is no such file"), "{error}");
        assert!(place.add("anna", "short", None, None).is_err());
        assert!(!place.file().exists(), "no file is made for a password that is none");
        place.add("anna", "open sesame", None, None).expect("a file is made");
        let before = fs::read(place.file()).expect("it is ours");
        for (error, says) in [
            (place.add("ben", "open sesame", None, Some("Other")), "leave --realm out"),
            (place.add("ben", "", None, None), "the password has 0 characters"),
            (place.remove("ben"), "there is no user \"ben\"; there are anna"),
        ] {
            let error = error.expect_err(says);
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(fs::read(place.file()).expect("it is ours"), before);
        fs::write(place.file(), "realm Mirrorball\nanna\n").expect("it is ours");
        let error = place.add("ben", "open sesame", None, None).expect_err("a wrong file");
        assert!(error.contains("users: line 2: "), "{error}");
    }

    #[test]
    fn a_password_is_a_line_without_its_end() {
        for (typed, password) in [
            ("open sesame\n", "open sesame"),
            ("open sesame\r\nmore\n", "open sesame"),
            (" spaces count ", " spaces count "),
            ("", ""),
        ] {
            assert_eq!(password_line(typed.as_bytes()).expect("text"), password);
        }
        assert!(password_line(&[0xff, b'\n'][..]).is_err());
        assert_eq!(password_line("x".repeat(9999).as_bytes()).expect("text").len(), PASSWORD_LINE as usize);
    }
}
