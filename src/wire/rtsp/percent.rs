//! Percent-encoding (RFC 3986 section 2.1).

/// The text that is meant.
///
/// # Errors
/// Why it is none.
pub fn percent_decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits = bytes.next().and_then(hex).zip(bytes.next().and_then(hex));
                let (high, low) = digits.ok_or("the URI has a % without two hexadecimal digits")?;
                high << 4 | low
            }
            other => other,
        };
        if byte.is_ascii_control() {
            return Err("the URI contains control characters");
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| "the URI is not UTF-8")
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// The text as it is written in a path: slashes stay.
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}
