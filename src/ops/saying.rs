//! How things are said that an operator is to mend: what is wrong; what to do.

/// What was found, and what to do about it, where that is said. What stands in quotes is of neither.
pub fn found_and_remedy(said: &str) -> (&str, Option<&str>) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in said.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted && said[at..].starts_with("; ") => {
                return (&said[..at], Some(&said[at + 2..]));
            }
            _ => {}
        }
    }
    (said, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_stands_behind_the_first_semicolon_that_is_not_quoted() {
        for (said, parted) in [
            ("no name; write one", ("no name", Some("write one"))),
            ("\"a; b\" is no name; write one", ("\"a; b\" is no name", Some("write one"))),
            (r#""a\"; b" is none; write one"#, (r#""a\"; b" is none"#, Some("write one"))),
            (
                "no group is it; chgrp GROUP a; chmod 640 a",
                ("no group is it", Some("chgrp GROUP a; chmod 640 a")),
            ),
            ("it is as it is", ("it is as it is", None)),
        ] {
            assert_eq!(found_and_remedy(said), parted, "{said}");
        }
    }
}
