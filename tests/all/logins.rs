//! Who may log in, and what becomes of those who may not.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::vocabulary::{Quiet, binary};

#[test]
fn users_are_made_by_the_program_and_their_passwords_are_in_no_file() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("users");
    assert_done(&user(&["add", "anna"], &file, "open sesame\n"), "is made, with the realm \"Mirrorball\"");
    assert_done(&user(&["add", "ben", "--channels", "news"], &file, "sesame open"), "ben may log in");
    let about = fs::metadata(&file).expect("it is made");
    assert_eq!(about.mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&file).expect("it is ours");
    assert!(text.contains("\nuser anna channels=* sha-256=") && !text.contains("sesame"), "{text}");
    assert_done(&user(&["list"], &file, ""), "USER  CHANNELS\nanna  *\nben   news\n");
    assert_done(&user(&["remove", "anna"], &file, ""), "anna may log in no more");
    assert_ne!(
        fs::metadata(&file).expect("it is there").ino(),
        about.ino(),
        "a reader has the old one or the new one"
    );

    for (arguments, stdin, code, says) in [
        (&["add", "carl"] as &[&str], "short\n", 1, "write 8 or more"),
        (&["add", "carl", "--realm", "Other"], "open sesame\n", 1, "leave --realm out"),
        (&["remove", "carl"], "", 1, "there is no user \"carl\"; there are ben"),
        (&["add", "c:l"], "open sesame\n", 2, "is no user's name; write up to 64 letters"),
        (&["add", "carl", "--password", "open sesame"], "", 2, "unexpected argument '--password'"),
    ] {
        let before = fs::read(&file).expect("it is ours");
        let output = user(arguments, &file, stdin);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{output:?}");
        assert_eq!(fs::read(&file).expect("it is ours"), before, "it is as it was");
    }
}

fn user(arguments: &[&str], file: &Path, stdin: &str) -> Output {
    let _quiet = Quiet::beside_others();
    let mut command = binary();
    command.arg("user").args(arguments).arg("--file").arg(file).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    // One that does not ask for a password may have ended.
    let _ = child.stdin.take().expect("asked for").write_all(stdin.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn assert_done(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(says), "{says:?} is not in {output:?}");
}
