//! Directories of films.

use std::path::PathBuf;

use super::{accepted, assert_says, refused};
use crate::serve::Who;

const NEWS: &str = "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n";
const STORAGE: &str = "[storage]\ndirectory = \"/var/kept\"\n";

#[test]
fn each_key_is_heeded() {
    let films = "[[library]]\nname = \"films\"\ndirectory = \"/srv/films\"\npublic = true\ndeny = [\"10.6.0.0/16\"]\n";
    let config =
        accepted(&format!("{STORAGE}{NEWS}{films}[[library]]\nname = \"more\"\ndirectory = \"more\"\n"));
    let libraries = config.storage.expect("it is said").libraries;
    let told: Vec<_> =
        libraries.iter().map(|library| (&library.name[..], library.directory.clone())).collect();
    assert_eq!(told[0], ("films", PathBuf::from("/srv/films")));
    assert_eq!((told[1].0, told[1].1.file_name()), ("more", PathBuf::from("more").file_name()));
    assert_eq!((&libraries[0].rule.who, libraries[0].rule.networks.deny.len()), (&Who::Everybody, 1));
}

#[test]
fn what_can_not_be_is_refused_with_what_to_write() {
    for (typed, says) in [
        (
            format!("{NEWS}[[library]]\nname = \"a\"\ndirectory = \"b\"\n"),
            ["library \"a\": no [storage] directory", "add one"],
        ),
        (format!("{STORAGE}{NEWS}[[library]]\ndirectory = \"b\"\n"), ["[[library]]: no name", "\"films\""]),
        (
            format!("{STORAGE}{NEWS}[[library]]\nname = \"a\"\n"),
            ["library \"a\": no directory", "\"/srv/films\""],
        ),
        (
            format!("{STORAGE}{NEWS}[[library]]\nname = \"a/b\"\ndirectory = \"b\"\n"),
            ["has a \"/\"", "write one word"],
        ),
        (
            format!("{STORAGE}{NEWS}[[library]]\nname = \"a\"\ndirectory = \"\"\n"),
            ["directory: is empty", "write one"],
        ),
        (
            format!("{STORAGE}{NEWS}[[library]]\nname = \"news\"\ndirectory = \"b\"\n"),
            ["the channel \"news\" begins", "write another"],
        ),
        (
            format!(
                "{STORAGE}{NEWS}[[library]]\nname = \"a\"\ndirectory = \"b\"\n[[library]]\nname = \"a\"\ndirectory = \"c\"\n"
            ),
            ["another library has this name", "write another"],
        ),
        (
            format!("{STORAGE}{NEWS}[library]\nname = \"a\"\n"),
            ["`library` stands for one of several", "[[library]]"],
        ),
    ] {
        assert_says(&refused(&typed)[0], &says);
    }
}
