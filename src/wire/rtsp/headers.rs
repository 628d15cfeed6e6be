//! The headers of a message, of requests and of responses alike. It knows what none of them means.

/// Headers of a message at most; players send about ten.
const MOST: usize = 64;

/// Headers of which several are one list (RFC 2326 section 4.2 by way of HTTP's).
const LISTS: [&str; 7] =
    ["Transport", "Require", "Proxy-Require", "Accept", "Authorization", "WWW-Authenticate", "Public"];

/// Names and values, in the order in which they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads the lines between the first one and the body, without their ends. `Err` says what is wrong.
    pub fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Self, &'static str> {
        let mut headers = Self::default();
        for line in lines.filter(|line| !line.is_empty()) {
            headers.add(line)?;
        }
        Ok(headers)
    }

    /// The value of a name, whose case does not matter: the first one, or all of them where several are one list.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn add(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err("a header contains control characters");
        }
        let line = String::from_utf8_lossy(line);
        if line.starts_with([' ', '\t']) {
            let (_, value) = self.0.last_mut().ok_or("the first header starts with a space")?;
            let gap = if value.is_empty() { "" } else { " " };
            value.extend([gap, line.trim()]);
            return Ok(());
        }
        let named = line.split_once(':').filter(|(name, _)| !name.trim().is_empty());
        let (name, value) = named.ok_or("a header has no name, or no colon after it")?;
        if self.0.len() == MOST {
            return Err("there are more than 64 headers");
        }
        let (name, value) = (name.trim(), value.trim());
        let is_list = LISTS.iter().any(|list| list.eq_ignore_ascii_case(name));
        match self.0.iter_mut().find(|(own, _)| is_list && own.eq_ignore_ascii_case(name)) {
            Some((_, list)) => list.extend([", ", value]),
            None => self.0.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}
