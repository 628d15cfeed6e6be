//! What is not TOML: what an operator typed, and what is said of it.

use std::path::Path;

use proptest::prelude::*;

use super::{Config, FILE, assert_says, refused};

/// What was typed, the line and column that are told, and the remedy.
const WRONG: &[(&str, &str, &str)] = &[
    // Texts without quotes.
    (
        "[admin]\nlisten = 127.0.0.1:9469",
        "2:10",
        "a text stands in quotes; write listen = \"127.0.0.1:9469\"",
    ),
    ("[rtsp]\nudp_ports = 6970-6999", "2:13", "write udp_ports = \"6970-6999\""),
    (
        "[rtsp]\nlisten = [0.0.0.0:8554, \"[::]:8554\"]",
        "2:14",
        "write listen = [\"0.0.0.0:8554\", \"[::]:8554\"]",
    ),
    ("[rtsp]\nlisten = 0.0.0.0:8554", "2:10", "write listen = [\"0.0.0.0:8554\"]"),
    ("[[channel]]\nname = news", "2:8", "write name = \"news\""),
    ("[[channel]]\nname = BBC News # 1", "2:8", "write name = \"BBC News\""),
    ("[[channel]]\nsource = rtp://239.9.9.1:5004", "2:10", "write source = \"rtp://239.9.9.1:5004\""),
    ("[[channel]]\nsilent_after = 2s", "2:16", "write silent_after = \"2s\""),
    ("[[channel]]\ninterface = eth0", "2:13", "write interface = \"eth0\""),
    ("[[channel]]\ncoalesce = on", "2:12", "write coalesce = \"on\""),
    // Quotes that are none, or not in pairs.
    ("[rtsp]\nudp_ports = “6970-6999”", "2:13", "“ is no quote here; write udp_ports = \"6970-6999\""),
    (
        "[rtsp]\nudp_ports = \"6970-6999\nsession_timeout = \"60s\"",
        "2:23",
        "a quote is not closed; write udp_ports = \"6970-6999\"",
    ),
    ("[rtsp]\nudp_ports = '6970-6999", "2:23", "a quote is not closed; write udp_ports = \"6970-6999\""),
    ("[rtsp]\nudp_ports = 6970-6999\"", "2:13", "write udp_ports = \"6970-6999\""),
    ("[rtsp]\nudp_ports = \"\"\"6970\n", "2:13", "a text of several lines is not closed; write udp_ports"),
    (
        "[[channel]]\nsdp = \"C:\\media\\a.sdp\"",
        "2:11",
        "a \\ in double quotes begins a code; write sdp = 'C:\\media\\a.sdp'",
    ),
    // Numbers.
    ("[limits]\nsessions = 20,000", "2:14", "a number has digits alone; write sessions = 20000"),
    ("[limits]\nsessions = 20 000", "2:12", "write sessions = 20000"),
    ("[limits]\nsessions = 20_000_", "2:18", "write sessions = 20000"),
    ("[limits]\nsessions = 020", "2:12", "write sessions = 20"),
    ("[limits]\nsessions = 500k", "2:12", "500k is no number; write sessions = 20000"),
    ("[engine]\nmedia_workers = auto", "2:17", "auto is no number; write media_workers = 0"),
    ("[engine]\nmedia_workers = yes", "2:17", "yes is no number; write media_workers = 0"),
    // Lists.
    ("[rtsp]\nlisten = [\"0.0.0.0:8554\" \"[::]:8554\"]", "2:26", "a comma is missing between two values"),
    (
        "[rtsp]\nlisten = [\"0.0.0.0:8554\",\n  \"[::]:8554\"\nudp_ports = \"0\"",
        "2:10",
        "the list is not closed; write ]",
    ),
    (
        "[rtsp]\nlisten = [\"0.0.0.0:8554\"\n\n[admin]\nlisten = \"127.0.0.1:9469\"",
        "2:10",
        "the list is not closed; write ]",
    ),
    (
        "[rtsp]\nlisten = [\n  \"0.0.0.0:8554\",\n  port = 3,\n]\nudp_ports = \"0\"",
        "4:3",
        "`port` is a key, and values alone stand between [ and ]; write it below the ]",
    ),
    ("[rtsp]\nlisten = [\n  \"0.0.0.0:8554\"\n  port = 3\n]", "4:3", "`port` is a key, and values alone"),
    ("[rtsp]\nlisten = [\n  0.0.0.0:8554,\n]", "3:6", "write listen = [\"0.0.0.0:8554\"]"),
    ("[rtsp]\nlisten = [\"0.0.0.0:8554\",, \"[::]:8554\"]", "2:26", "one comma too many"),
    ("[rtsp]\nlisten = \"0.0.0.0:8554\"]", "2:24", "leave ] out"),
    ("[rtsp]\nlisten = (\"0.0.0.0:8554\")", "2:10", "this is no value; write listen = [\"0.0.0.0:8554\"]"),
    // Keys.
    ("[rtsp]\nlisten", "2:7", "`listen` has no value; write listen = [\"0.0.0.0:8554\"]"),
    ("[rtsp]\nlisten =\nudp_ports = \"0\"", "2:9", "`listen` has no value; write listen = "),
    ("[rtsp]\nudp_ports \"0\"", "2:11", "a key and its value have a = between them; write udp_ports = \"0\""),
    (
        "[rtsp]\nudp_ports: \"0\"",
        "2:10",
        "a key and its value have a = between them; write udp_ports = \"0\"",
    ),
    ("[rtsp]\nudp_ports == \"0\"", "2:12", "one = is enough; write udp_ports = \"0\""),
    ("[rtsp]\n= \"0\"", "2:1", "there is no key in front of the ="),
    ("[rtsp]\nudp ports = \"0\"", "2:5", "`udp ports` is no key: it has a space; write udp_ports"),
    (
        "[rtsp]\nudp_ports\u{a0}= \"0\"",
        "2:10",
        "a character that is not seen stands here (U+00A0); delete it",
    ),
    ("[rtsp]\nudp_ports = \"0\", ", "2:16", "leave , out"),
    ("[rtsp]\nudp_ports = \"0\" session_timeout = \"60s\"", "2:17", "each key stands in a line of its own"),
    // Headers.
    ("[rtsp\nudp_ports = \"0\"", "1:1", "this is no header of a section; write [rtsp]"),
    ("rtsp]\nudp_ports = \"0\"", "1:1", "write [rtsp]"),
    ("rtsp:\n  udp_ports: 0", "1:1", "write [rtsp]"),
    ("[[channel]\nname = \"a\"", "1:1", "write [[channel]]"),
    ("[channel]]\nname = \"a\"", "1:1", "write [[channel]]"),
    (
        "[]\nname = \"a\"",
        "1:1",
        "the sections are [rtsp], [http], [admin], [log], [engine], [ring], [limits], [access], [sap], [storage], [[library]], [[channel]]",
    ),
    ("[rtsp] udp_ports = \"0\"", "1:8", "a section's header stands in a line of its own"),
    // Comments, and other languages.
    ("[rtsp]\n// ours\nudp_ports = \"0\"", "2:1", "a comment begins with #; write # in place of //"),
    ("; ours\n[rtsp]", "1:1", "write # in place of ;"),
    ("[rtsp]\nudp_ports = \"0\" // ours", "2:17", "write # in place of //"),
    ("{\"rtsp\": {\"listen\": []}}", "1:1", "this is JSON; write it as TOML"),
    ("<rtsp/>", "1:1", "this is XML; write it as TOML"),
    ("[rtsp]\rudp_ports = \"0\"\r", "1:1", "the line ends of Unix (LF)"),
    ("[rtsp]\nserve it all, please", "2:", "this is neither a section's header, such as [rtsp], nor a key"),
];

#[test]
fn what_is_not_toml_is_told_once_with_its_place_and_what_to_write() {
    for (typed, place, remedy) in WRONG {
        for ends in ["\n", "\r\n"] {
            let typed = typed.replace('\n', ends);
            let errors = refused(&typed);
            let syntax: Vec<_> = errors.iter().filter(|error| error.contains('^')).collect();
            assert_eq!(syntax.len(), 1, "{typed:?}: {errors:#?}");
            assert_says(syntax[0], &[&format!("toml:{place}"), remedy]);
        }
    }
}

#[test]
fn the_line_is_shown_with_the_place() {
    let error = &refused("[admin]\n\tlisten = 127.0.0.1:9469 # ours\n")[0];
    assert!(error.ends_with("\n     listen = 127.0.0.1:9469 # ours\n              ^"), "{error}");
    let long = format!("[rtsp]\nudp_ports = \"{}\" x\n", "0".repeat(5000));
    let shown = refused(&long)[0].clone();
    assert!(shown.lines().all(|line| line.chars().count() < 120), "{shown}");
    assert!(!refused("[rtsp]\nudp_ports = \"\u{1b}[2J\"\n")[0].contains('\u{1b}'), "it is the terminal's");
}

#[test]
fn no_error_tells_a_password() {
    const URL: &str = "rtp://user:Sesame42@239.9.9.1:5004";
    for typed in [
        format!("[[channel]]\nsource = {URL}"),
        format!("[[channel]]\nsource = \"{URL}"),
        format!("[[channel]]\nsource = “{URL}”"),
        format!("[[channel]]\nsource = \"{URL}\" x"),
        format!("[[channel]]\nsource: {URL}"),
        format!("[[channel]]\nsource {URL}"),
        "[[channel]]\nsource = user:Sesame42@239.9.9.1:5004".to_owned(),
        "[[channel]]\nsource = rtp://user:1 x Sesame42@239.9.9.1:5004".to_owned(),
        format!("[[channel]]\nname = \"a\"\nsource = \"{URL}\"\nsource = \"{URL}\""),
        format!("[rtsp]\nlisten = {URL}"),
        format!("[rtsp]\nlisten = [{URL}]"),
        format!("[rtsp]\nlisten = \"{URL}\""),
        format!("[rtsp]\nlisten = [\"{URL}\"]"),
        format!("[limits]\nsessions = \"{URL}\""),
        format!("[limits]\nsessions = {URL}"),
        format!("[[channel]]\nname = \"a\"\ninterface = \"{URL}\""),
        format!("[[channel]]\n\"{URL}\" = 5"),
        format!("\"{URL}\" = 5"),
        URL.to_owned(),
        format!("[{URL}]"),
        format!("<source>{URL}</source>"),
    ] {
        let errors = refused(&typed).join("\n");
        assert!(errors.contains("user:…@") && !errors.contains("Sesame42"), "{typed}\n{errors}");
    }
    let error = &refused(&format!("[[channel]]\nsource = \"{URL}\" x"))[0];
    let shown = format!("\n    source = \"rtp://user:…@239.9.9.1:5004\" x\n    {:39}^", "");
    assert!(error.contains("toml:2:47: ") && error.ends_with(&shown), "{error}");
}

#[test]
fn no_error_has_lines_or_colours_of_what_was_typed() {
    for typed in [
        "\"a\\u001b[31m\\nINFO forged\" = 1",
        "[rtsp]\n\"a\\u001b[31m\\nINFO forged\" = 1",
        "[[channel]]\nname = news\u{1b}[31m",
        "[[channel]]\nnew\u{1b}[31ms = 5",
    ] {
        let errors = refused(typed);
        let is_plain = |line: &str| !line.contains(char::is_control) && !line.starts_with("INFO");
        assert!(errors.iter().all(|error| error.lines().all(is_plain)), "{errors:#?}");
    }
    assert_says(&refused("\"a\\u001b[31m\\nb\u{202e}\" = 1")[0], &[r"`a\u{1b}[31m\nb\u{202e}`"]);
}

#[test]
fn what_is_behind_is_told_too_and_what_is_guessed_is_not() {
    let errors = refused(
        "[rtsp\nlisten = 5\n[admin]\nlisten = oops\n[limits]\nsessions = 0\nsesions = maybe\n[[channel]]\n\
         name = news\n[[channel]]\nname = \"b\"\nsource = \"rtp://255.0.0.1:5004\"\n",
    );
    assert_eq!(errors.len(), 7, "{errors:#?}");
    assert_says(&errors[0], &["toml:1:1: this is no header"]);
    assert_says(&errors[1], &["toml:4:10: a text stands in quotes"]);
    assert_says(&errors[2], &["toml:6: [limits] sessions: 0 is out of bounds"]);
    assert_says(&errors[3], &["toml:7:11: "]);
    assert_says(&errors[4], &["toml:7: [limits]: unknown key `sesions`; did you mean `sessions`?"]);
    assert_says(&errors[5], &["toml:9:8: a text stands in quotes; write name = \"news\""]);
    assert_says(
        &errors[6],
        &["toml:12: channel \"b\": source \"rtp://255.0.0.1:5004\": 255.0.0.1 is not to be received"],
    );
}

#[test]
fn what_is_there_twice_is_told_with_both_lines() {
    for (typed, says) in [
        (
            "[admin]\nlisten = \"127.0.0.1:1\"\n\nlisten = \"127.0.0.1:2\"",
            "toml:4:1: `listen` is there in line 2 already; leave one out",
        ),
        (
            "[rtsp]\n[admin]\n# ours\n[rtsp]\nudp_ports = \"0\"",
            "toml:4:2: [rtsp] is there in line 1 already; put its keys there",
        ),
        (
            "[[channel]]\nname = \"a\"\nname = \"b\"\nsource = \"rtp://239.9.9.1:5004\"",
            "toml:3:1: `name` is there in line 2 already",
        ),
        (
            "[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:5004\"\n[channel]\nname = \"b\"",
            "toml:4:2: `channel` stands for one of several; write [[channel]]",
        ),
        (
            "channel = [{ name = \"a\", source = \"rtp://239.9.9.1:5004\" }]\n\n[[channel]]\nname = \"b\"",
            "toml:3:3: `channel` is there in line 1 in another form; write [[channel]] for each, there too",
        ),
        (
            "channel = [ { name = \"a\", name = \"b\" } ]",
            "toml:1:27: `name` is there twice between one pair of braces; leave one out",
        ),
        (
            "rtsp = { 'udp_ports' = \"0\", 'udp_ports' = \"0\" }",
            "toml:1:29: `udp_ports` is there twice between one pair of braces; leave one out",
        ),
    ] {
        assert_says(&refused(typed)[0], &[says]);
    }
    let sections = refused("[limits]\nsessions = 5\n[ring]\n[limits]\nsessions = 6\n");
    assert_says(&sections[0], &["toml:4:2: [limits] is there in line 1 already"]);
    assert_says(&sections[1], &["toml:5:1: `sessions` is there in line 2 already"]);
}

#[test]
fn a_file_of_nothing_else_is_told_in_good_time() {
    let lines = "name = news\nlisten = [\n[[channel\n\"\"\"\n".repeat(500);
    assert!(refused(&lines).len() > 100, "each line by itself");
    let line = format!("rtsp = {{{}}}", "b = 1, ".repeat(20_000).trim_end_matches(", "));
    let twice = refused(&line).into_iter().filter(|error| error.contains("`b` is there twice")).count();
    assert_eq!(twice, 1, "the remedy is the same for all of a line");
}

proptest! {
    #[test]
    fn any_lines_get_an_answer(text in "(\\[\\[?|channel|rtsp|listen|name|=|\"|'|\"\"\"|#|\\]|\\{|,|:|5|é|\u{feff}|\u{a0}|\\\\| |\r|\n){0,60}") {
        if let Err(error) = Config::parse(&text, Path::new(FILE)) {
            prop_assert!(error.to_string().starts_with("mirrorball.toml:"));
        }
    }
}
