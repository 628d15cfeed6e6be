//! How Authorization and WWW-Authenticate headers are written (RFC 9110 section 11.6): a list of schemes, each with its
//! parameters. It knows no scheme.

/// One scheme with what belongs to it.
pub(super) struct Scheme<'h> {
    pub name: &'h str,
    /// What stands behind it up to the first comma, for Basic.
    pub token: &'h str,
    parameters: Vec<(&'h str, &'h str)>,
}

/// A name stands there twice: it would not be known which of the values is meant.
pub(super) struct Twice;

impl Scheme<'_> {
    /// The value of this name, once, without its quotation marks.
    pub fn value(&self, name: &str) -> Result<Option<String>, Twice> {
        let mut values = self.parameters.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| unquoted(value));
        if values.next().is_some() { Err(Twice) } else { Ok(value) }
    }
}

/// Takes a list apart at its commas: an item that begins with a word and a space begins another scheme. `false`: there is
/// something in it that can not be read.
pub(super) fn split(header: &str) -> (Vec<Scheme<'_>>, bool) {
    let (mut schemes, mut is_whole) = (Vec::<Scheme<'_>>::new(), true);
    for item in split_unquoted(header).map(str::trim).filter(|item| !item.is_empty()) {
        let parameter = match scheme(item) {
            Some((name, token)) => {
                schemes.push(Scheme { name, token, parameters: Vec::new() });
                token
            }
            None => item,
        };
        let Some(scheme) = schemes.last_mut() else {
            is_whole = false;
            continue;
        };
        // Of Basic this may be the padding of its token, and nobody asks.
        if let Some((name, value)) = parameter.split_once('=') {
            scheme.parameters.push((name.trim(), value.trim()));
        } else if parameter != scheme.token {
            is_whole = false;
        }
    }
    (schemes, is_whole)
}

/// `Digest …`: a word, a space, and no `=` next.
fn scheme(item: &str) -> Option<(&str, &str)> {
    let (word, rest) = item.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_word && !rest.starts_with('=')).then_some((word, rest))
}

/// Splits at commas that stand outside of quotation marks.
fn split_unquoted(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        c == ',' && !quoted
    })
}

/// What stands between quotation marks, or all of it where there are none.
fn unquoted(value: &str) -> String {
    let inside = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inside) = inside else { return value.to_owned() };
    let mut escaped = false;
    let is_kept = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inside.chars().filter(is_kept).collect()
}
