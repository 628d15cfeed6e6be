//! Files of tokens: secrets that stand for a login, one a line.

use std::path::Path;

use super::files::read_file;
use super::operators::Role;
use super::unreadable::why;

const TOKENS: usize = 1024;
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 8..=128;
/// Who has one of these may end sessions: it is not to be guessed.
const OPERATORS_BYTES: usize = 16;
const TOKENS_FILE_BYTES: u64 = 256 << 10;

/// Tokens of viewers.
pub(super) fn tokens(file: &Path) -> Result<Vec<String>, String> {
    read(file, |line| token(line, *TOKEN_BYTES.start()))
}

/// Tokens of operators, each behind what it is for.
pub(super) fn roles(file: &Path) -> Result<Vec<(Role, String)>, String> {
    read(file, |line| {
        let (role, text) = line.split_once([' ', '\t']).unwrap_or(("", line));
        let role = match role {
            "read" => Role::Read,
            "write" => Role::Write,
            _ => return Err("says not what it is for; write \"read TOKEN\" or \"write TOKEN\"".to_owned()),
        };
        Ok((role, token(text.trim_start(), OPERATORS_BYTES)?))
    })
}

fn token(text: &str, least: usize) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let most = *TOKEN_BYTES.end();
    if (least..=most).contains(&text.len()) && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(format!("is no token; write {least} to {most} letters, digits, \"-\", \".\", \"_\" and \"~\""))
}

/// One in each line of a file; what begins with `#` is for people.
fn read<T>(file: &Path, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let shown = file.display();
    let bytes = read_file(file, TOKENS_FILE_BYTES)
        .map_err(|error| format!("{shown} can not be read: {}", why(file, &error)))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is no text"))?;
    let mut tokens = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        tokens.push(parse(line).map_err(|what| format!("{shown}: line {number} {what}"))?);
    }
    if (1..=TOKENS).contains(&tokens.len()) {
        Ok(tokens)
    } else {
        Err(format!(
            "{shown} holds {} tokens; write 1 to {TOKENS}, one a line, or leave the key out",
            tokens.len()
        ))
    }
}
