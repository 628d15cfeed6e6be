//! Who may watch, and from where.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::super::Role;
use super::{Config, ConfigError, accepted, assert_says, refused, warned};
use crate::serve::{Networks, Rule, Users, Who, write_users};

const NEWS: &str = "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n";

/// A directory with a file of users, anna and ben, and where a config beside it would be.
fn with_users() -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("a directory");
    let mut users = Users::of_realm("Mirrorball").expect("a realm");
    ["anna", "ben"].iter().for_each(|name| assert_eq!(users.set(name, "open sesame", None), Ok(true)));
    write_users(&directory.path().join("users"), &users).expect("a file");
    let config = directory.path().join("mirrorball.toml");
    (directory, config)
}

fn problems(text: &str, file: &Path) -> Vec<String> {
    match Config::parse(text, file) {
        Err(ConfigError::Invalid { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
        Ok(config) => config.warnings.iter().map(|note| format!("note: {note}")).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn without_a_word_of_access_anybody_may_watch() {
    let config = accepted(NEWS);
    assert_eq!((config.access.users, config.access.networks), (None, Networks::default()));
    assert_eq!(config.channels[0].settings.rule, Rule::default());
    assert_eq!(
        (config.access.failures_per_address, config.access.failure_pause),
        (10, Duration::from_secs(60))
    );
    assert_eq!(config.access.nonce_lifetime, Duration::from_secs(300));
}

#[test]
fn each_key_of_access_is_heeded() {
    let (directory, file) = with_users();
    let text = format!(
        "[access]\nusers = \"users\"\nallow = [\"10.0.0.0/8\", \"::1\"]\ndeny = [\"10.6.0.0/16\"]\n\
         nonce_lifetime = \"90s\"\nfailures_per_address = 3\nfailure_pause = \"5min\"\n\
         {NEWS}users = [\"ben\", \"anna\"]\ndeny = [\"10.7.0.0/16\"]\n\
         [[channel]]\nname = \"open\"\nsource = \"rtp://239.9.9.2:5004\"\npublic = true\nallow = [\"0.0.0.0/0\"]\n\
         [[channel]]\nname = \"rest\"\nsource = \"rtp://239.9.9.3:5004\"\npublic = false\n"
    );
    let config = Config::parse(&text, &file).unwrap_or_else(|error| panic!("{error}"));
    let list =
        |networks: &[&str]| networks.iter().map(|text| text.parse().expect("a network")).collect::<Vec<_>>();
    let networks = Networks { allow: Some(list(&["10.0.0.0/8", "::1/128"])), deny: list(&["10.6.0.0/16"]) };
    assert_eq!(
        (config.access.users, config.access.networks),
        (Some(directory.path().join("users")), networks)
    );
    assert_eq!(
        (config.access.failures_per_address, config.access.failure_pause),
        (3, Duration::from_secs(300))
    );
    assert_eq!(config.access.nonce_lifetime, Duration::from_secs(90));
    let rules: Vec<_> = config.channels.into_iter().map(|channel| channel.settings.rule).collect();
    let own = Networks { allow: None, deny: list(&["10.7.0.0/16"]) };
    assert_eq!(rules[0], Rule { networks: own, who: Who::Only(vec!["anna".into(), "ben".into()]) });
    let own = Networks { allow: Some(list(&["0.0.0.0/0"])), deny: Vec::new() };
    assert_eq!(rules[1], Rule { networks: own, who: Who::Everybody });
    assert_eq!(rules[2], Rule::default());
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_file_of_users_that_can_not_be_used_is_an_error_of_the_config() {
    let (directory, file) = with_users();
    let users = directory.path().join("users");
    let text = "[access]\nusers = \"users\"\n";
    fs::set_permissions(&users, fs::Permissions::from_mode(0o640)).expect("it is ours");
    assert_says(
        &problems(text, &file)[0],
        &["2: [access] users: ", "users: mode 0640 lets others in", "chmod 600"],
    );
    fs::write(&users, "realm Mirrorball\nanna:x\n").expect("it is ours");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).expect("it is ours");
    assert_says(&problems(text, &file)[0], &["users: line 2: ", "mirrorball user add"]);
    fs::remove_file(&users).expect("it is ours");
    assert_says(&problems(text, &file)[0], &["users: there is no such file"]);
}

#[test]
fn what_channels_say_of_users_has_to_make_sense() {
    let (_directory, file) = with_users();
    let with = |channel: &str| problems(&format!("[access]\nusers = \"users\"\n{NEWS}{channel}"), &file);
    for (channel, says) in [
        ("users = [\"anna\"]\npublic = true", "channel \"news\": both users and public; leave one out"),
        (
            "users = []",
            "channel \"news\": users: 0 entries; write 1 to 1024, such as [\"anna\"], or leave it out",
        ),
        ("users = [\"anna\", \"anna\"]", "anna is there twice; leave one out"),
        ("users = [\"an:na\"]", "\"an:na\" is no user's name; write"),
        ("users = \"anna\"", "write users = [\"anna\"]"),
        ("public = \"true\"", "true or false is meant; write public = true"),
        ("public = 1", "1 is a number, and true or false is meant"),
        (
            "users = [\"carl\"]",
            "note: 6: channel \"news\": there is no user carl yet; `mirrorball user add` makes one",
        ),
    ] {
        let problems = with(channel);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_says(&problems[0], &["6", says]);
    }
    assert_eq!(with("public = true"), Vec::<String>::new());
    let without = refused(&format!("{NEWS}users = [\"anna\"]"));
    assert_says(&without[0], &["toml:4: channel \"news\": users, and no [access] users names the file"]);
    assert_says(&warned(&format!("{NEWS}public = true"))[0], &["public, and so are all"]);
}

#[test]
fn lists_of_networks_are_told_where_they_are_wrong() {
    for (text, says) in [
        (
            "[access]\nallow = [\"10.0.0.0/8\", \"10.0.0.1/8\"]",
            "[access] allow: \"10.0.0.1/8\" is an address in a network",
        ),
        ("[access]\ndeny = []", "[access] deny: 0 entries; write 1 to 1024, such as [\"10.0.0.0/8\"]"),
        ("[access]\ndeny = [\"::1\", \"::1/128\"]", "[access] deny: ::1/128 is there twice"),
        ("[access]\nalow = [\"::1\"]", "did you mean `allow`?"),
        ("[access]\nfailures_per_address = 0", "write 1 to 1000000"),
        ("[access]\nnonce_lifetime = \"500ms\"", "write a duration from 1s to 24h"),
        ("[access]\nfailure_pause = \"25h\"", "write a duration from 1s to 24h"),
    ] {
        assert_says(&refused(text)[0], &["toml:2: ", says]);
    }
    assert_says(
        &refused(&format!("{NEWS}allow = [\"edge\"]"))[0],
        &["toml:4: channel \"news\" allow: \"edge\" is not"],
    );
}

#[test]
fn operators_have_tokens_and_a_certificate_of_their_own() {
    let directory = TempDir::new().expect("a directory");
    let put = |name: &str, text: &str| {
        let file = directory.path().join(name);
        fs::write(&file, text).expect("a file");
        file.display().to_string()
    };
    let tokens = |text: &str| format!("[admin]\ntokens = {:?}\n", put("tokens", text));
    let config = accepted(&tokens("# ours\nread looking-at-it-all\nwrite\tchanging-some-of-it\n"));
    let expected = [(Role::Read, "looking-at-it-all"), (Role::Write, "changing-some-of-it")];
    assert_eq!(config.admin.tokens, expected.map(|(role, token)| (role, token.to_owned())));
    for (text, says) in [
        ("looking-at-it-all\n", "line 1 says not what it is for"),
        ("read short\n", "line 1 is no token; write 16 to 128"),
        ("\n", "holds 0 tokens"),
    ] {
        assert_says(&refused(&tokens(text))[0], &["toml:2: [admin] tokens", says]);
    }
    assert_says(&refused("[admin]\ncertificate = \"a.pem\"\n")[0], &["private_key is missing"]);
    assert_says(&refused("[admin]\nprivate_key = \"a.key\"\n")[0], &["certificate is missing"]);
    let neither = "[admin]\ncertificate = \"/nowhere/a.pem\"\nprivate_key = \"/nowhere/a.key\"\n";
    assert_says(&refused(neither)[0], &["[admin] certificate", "/nowhere/a.pem can not be read"]);
    let open = warned("[admin]\nlisten = \"0.0.0.0:9469\"\n");
    assert_says(&open[0], &["no address of loopback", "write tokens ="]);
}
