//! What a key is. docs/configuration.md is the one place that says so: it is built in, and its tables are read.

use super::keys::{KEYS, Key, Section, nearest};

const PAGE: &str = include_str!("../../../docs/configuration.md");
/// Cells of a row: key, type, default, limits, meaning.
const CELLS: usize = 5;

/// What `typed` is, a key with or without its section, or a section, for printing.
///
/// # Errors
/// There is no such key; the text says which may have been meant.
pub fn explain(typed: &str) -> Result<String, String> {
    let parts: Vec<_> = typed
        .split(['.', '[', ']', ' '])
        .map(|part| part.trim_matches('`'))
        .filter(|part| !part.is_empty())
        .collect();
    let found: Vec<_> = match parts[..] {
        [one] => {
            let section = KEYS.iter().find(|section| section.name == one).map(of_section);
            let keys = KEYS.iter().filter_map(|section| of_key(section, one));
            section.into_iter().chain(keys).collect()
        }
        [section, key] => {
            let section = KEYS.iter().find(|known| known.name == section);
            section.and_then(|section| of_key(section, key)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    if found.is_empty() { Err(unknown(typed, &parts)) } else { Ok(found.join("\n")) }
}

fn unknown(typed: &str, parts: &[&str]) -> String {
    let key = parts.last().copied().unwrap_or_default();
    let known = parts.first().and_then(|first| KEYS.iter().find(|section| section.name == *first));
    let of_section = known.filter(|_| parts.len() > 1).and_then(|section| {
        let near = nearest(key, section.keys.iter().map(|known| known.name))?;
        Some(format!("{}.{near}", section.name))
    });
    let meant = of_section.or_else(|| {
        let sections = KEYS.iter().map(|section| section.name);
        let keys = KEYS.iter().flat_map(|section| section.keys.iter().map(|known| known.name));
        nearest(key, sections.chain(keys)).map(str::to_owned)
    });
    let remedy = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let sections: Vec<_> = KEYS.iter().map(|section| section.name).collect();
            format!("a section tells its keys; the sections are {}", sections.join(", "))
        }
    };
    format!("no key of a config is called `{}`; {remedy}", typed.escape_debug())
}

/// A key of a section, if that has it.
fn of_key(section: &Section, name: &str) -> Option<String> {
    let key = section.keys.iter().find(|key| key.name == name)?;
    let row = row(section, key)?;
    let (kind, default, limits) = (plain(row.kind), plain(row.default), plain(row.limits));
    let header = section.header();
    let mut said = format!("{name}, a key of {header}: {}\n\n", about(section));
    for (what, value) in [("type", &kind), ("default", &default), ("limits", &limits)] {
        if !value.is_empty() {
            said += &format!("  {what:<9} {value}\n");
        }
    }
    said += &format!("  {:<9} {name} = {}\n", "example", key.example);
    said += &format!("\n{}\n", plain(row.meaning));
    if let Some(notation) = notation(&kind) {
        said += &format!("{notation}\n");
    }
    Some(said)
}

fn of_section(section: &Section) -> String {
    let mut said = format!("{}: {}\n\n", section.header(), about(section));
    for key in section.keys {
        let meaning = row(section, key).map(|row| plain(row.meaning)).unwrap_or_default();
        let first = meaning.split_once(". ").map_or(meaning.as_str(), |(first, _)| first);
        said += &format!("  {:<25} {}\n", key.name, first.trim_end_matches('.'));
    }
    said
}

/// A key's row in the documentation.
struct Row<'p> {
    kind: &'p str,
    default: &'p str,
    limits: &'p str,
    meaning: &'p str,
}

fn row(section: &Section, key: &Key) -> Option<Row<'static>> {
    let begin = format!("| `{}` |", key.name);
    let line = body(section)?.lines().find(|line| line.starts_with(&begin))?;
    let inner = line.strip_prefix('|')?.trim_end().strip_suffix('|')?;
    let cells: Vec<_> = inner.splitn(CELLS, '|').map(str::trim).collect();
    let [_, kind, default, limits, meaning] = cells[..] else { return None };
    Some(Row { kind, default, limits, meaning })
}

/// What stands under a section's heading, up to the next one.
fn body(section: &Section) -> Option<&'static str> {
    let heading = format!("\n## {}\n", section.header());
    let (_, body) = PAGE.split_once(&heading)?;
    Some(body.split_once("\n## ").map_or(body, |(body, _)| body))
}

/// What a section is about: its first sentence.
fn about(section: &Section) -> String {
    let first = body(section).and_then(|body| body.trim_start().split("\n\n").next()).unwrap_or_default();
    let first = plain(&first.replace('\n', " "));
    first.split_once(". ").map_or(first.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

/// How values of such a type are written, as the page says on top.
fn notation(kind: &str) -> Option<String> {
    let kinds = [("duration", "- **Durations**"), ("size", "- **Sizes**"), ("address", "- **Addresses**")];
    let (_, begin) = kinds.iter().find(|(word, _)| kind.contains(word))?;
    let line = PAGE.lines().find_map(|line| line.strip_prefix("- ").filter(|_| line.starts_with(begin)))?;
    Some(plain(line))
}

/// Markdown without links and bold type.
fn plain(text: &str) -> String {
    let mut parts = text.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("](").and_then(|(name, rest)| Some((name, rest.split_once(')')?.1))) {
            Some((name, rest)) if !name.contains(']') => plain = plain + name + rest,
            _ => plain = plain + "[" + part,
        }
    }
    plain.replace("**", "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_row_that_says_its_type_and_meaning() {
        for section in KEYS {
            assert!(!about(section).is_empty(), "{}", section.name);
            for key in section.keys {
                let of = format!("{}.{}", section.name, key.name);
                let row = row(section, key).unwrap_or_else(|| panic!("{of} has no row of {CELLS} cells"));
                assert!(!row.kind.is_empty() && row.meaning.len() > 10, "{of}");
                let said = explain(&of).unwrap_or_else(|wrong| panic!("{of}: {wrong}"));
                assert!(!said.contains("](") && !said.contains("**"), "{said}");
            }
        }
    }

    #[test]
    fn a_key_is_told_with_all_that_is_known_of_it() {
        let said = explain("rtsp.session_timeout").expect("a key");
        for part in [
            "session_timeout, a key of [rtsp]: How viewers reach the program\n",
            "  type      duration\n",
            "  default   `\"60s\"`\n",
            "  limits    2s to 60min, whole seconds\n",
            "  example   session_timeout = \"60s\"\n",
            "\nHow long a session lives without a sign of its viewer.\n",
            "Durations are strings with a whole number and a unit",
        ] {
            assert!(said.contains(part), "{part:?} is not in\n{said}");
        }
        assert_eq!(explain("[rtsp] session_timeout"), Ok(said.clone()));
        assert_eq!(explain("session_timeout"), Ok(said));
    }

    #[test]
    fn a_key_of_several_sections_is_told_of_each_and_a_section_with_its_keys() {
        let listen = explain("listen").expect("a key");
        assert_eq!(listen.matches("listen, a key of [").count(), 4, "{listen}");
        let channel = explain("[[channel]]").expect("a section");
        assert!(channel.starts_with("[[channel]]: One for each channel, up to 4096\n"), "{channel}");
        assert!(channel.contains("\n  renew                     How often the network is told"), "{channel}");
    }

    #[test]
    fn what_is_no_key_finds_the_nearest() {
        for (typed, meant) in [
            ("rtsp.lisen", "did you mean `rtsp.listen`?"),
            ("sesion_timeout", "did you mean `session_timeout`?"),
            ("chanel", "did you mean `channel`?"),
            ("admin.renew", "did you mean `renew`?"),
            ("bandwidth", "the sections are rtsp, http,"),
            ("", "the sections are rtsp, http,"),
            ("a.b.c", "the sections are rtsp, http,"),
        ] {
            let wrong = explain(typed).expect_err(typed);
            assert!(wrong.contains(meant), "{typed}: {wrong}");
        }
    }

    #[test]
    fn markdown_is_read_as_text() {
        let read = plain("**Who** is [offered it](repair.md#who), of `[rtsp]` [ and");
        assert_eq!(read, "Who is offered it, of `[rtsp]` [ and");
    }
}
