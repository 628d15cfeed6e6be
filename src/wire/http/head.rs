//! The head of a request.

/// The most that a head may have, in bytes.
pub const HEAD_BYTES: usize = 8 << 10;

const HEADERS: usize = 64;

/// The longest cookie that joins the two halves of a tunnel. QuickTime's have 22 bytes.
const COOKIE_BYTES: usize = 128;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// What the server sends goes by its reply.
    Get,
    /// The same, less its body.
    Head,
    /// What the client sends comes by its body.
    Post,
    /// Anything else.
    Other,
}

/// A request, less its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What is asked for.
    pub method: Method,
    /// Of what, as written.
    pub target: String,
    /// By which name the client found us.
    pub host: Option<String>,
    /// Its Authorization header.
    pub authorization: Option<String>,
    /// What the client says that it is.
    pub agent: Option<String>,
    /// What joins the halves of a tunnel.
    pub cookie: Option<String>,
    /// Whether the body is in another form than its bytes one after the other.
    pub is_coded: bool,
}

/// Why bytes are no head that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHttp {
    /// They can be none.
    #[error("not HTTP: the bytes are no request")]
    Malformed,
    /// It has no end within [`HEAD_BYTES`], or more than 64 headers.
    #[error("the head is too long")]
    TooLong,
}

impl NotHttp {
    /// The status to reply with.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooLong => 431,
        }
    }
}

impl Method {
    /// Its word, in metrics and the log.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Other => "other",
        }
    }
}

impl Head {
    /// The head that `bytes` begin with, and how many of them it has. `None`: it has not come to its end.
    ///
    /// # Errors
    /// When they can not become one that is taken.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, NotHttp> {
        let window = &bytes[..bytes.len().min(HEAD_BYTES)];
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(window) {
            Ok(httparse::Status::Complete(length)) => Ok(Some((Self::of(&request)?, length))),
            Ok(httparse::Status::Partial) if window.len() < HEAD_BYTES => Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(NotHttp::TooLong),
            Err(_) => Err(NotHttp::Malformed),
        }
    }

    fn of(request: &httparse::Request<'_, '_>) -> Result<Self, NotHttp> {
        let value = |name: &str| {
            let header = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok().map(str::trim)
        };
        let cookie = value("x-sessioncookie").filter(|cookie| !cookie.is_empty());
        if cookie.is_some_and(|cookie| cookie.len() > COOKIE_BYTES) {
            return Err(NotHttp::TooLong);
        }
        Ok(Self {
            method: match request.method {
                Some("GET") => Method::Get,
                Some("HEAD") => Method::Head,
                Some("POST") => Method::Post,
                _ => Method::Other,
            },
            target: request.path.unwrap_or_default().to_owned(),
            host: value("Host").map(str::to_owned),
            authorization: value("Authorization").map(str::to_owned),
            agent: value("User-Agent").map(str::to_owned),
            cookie: cookie.map(str::to_owned),
            is_coded: value("Transfer-Encoding").is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /news HTTP/1.0\r\nUser-Agent: QTS (qtver=4.1;cpu=PPC;os=Mac 8.6)\r\n\
        x-sessioncookie: tD9hKgAAfB8ABCftAAAAAw\r\nAccept: application/x-rtsp-tunnelled\r\n\
        Pragma: no-cache\r\nCache-Control: no-cache\r\n\r\n";

    #[test]
    fn the_halves_of_a_tunnel_are_read() {
        let (get, length) = Head::read(GET.as_bytes()).expect("HTTP").expect("all of it");
        assert_eq!((get.method, get.target.as_str(), length), (Method::Get, "/news", GET.len()));
        assert_eq!(get.cookie.as_deref(), Some("tD9hKgAAfB8ABCftAAAAAw"));
        let post = "POST / HTTP/1.1\r\nX-SessionCookie:  a \r\nContent-Length: 32767\r\n\r\nT1BU";
        let (post, length) = Head::read(post.as_bytes()).expect("HTTP").expect("all of it");
        assert_eq!((post.method, post.cookie.as_deref()), (Method::Post, Some("a")));
        assert_eq!((post.is_coded, length), (false, 64));
    }

    #[test]
    fn what_a_player_says_of_itself_is_read() {
        let head = "HEAD /news.ts?token=x HTTP/1.1\r\nhost: edge:8080\r\nUser-Agent: Lavf/60\r\nAuthorization: Basic eDp5\r\n\r\n";
        let (head, _) = Head::read(head.as_bytes()).expect("HTTP").expect("all of it");
        assert_eq!((head.method, head.target.as_str()), (Method::Head, "/news.ts?token=x"));
        let said = [&head.host, &head.authorization, &head.agent].map(Option::as_deref);
        assert_eq!(said, [Some("edge:8080"), Some("Basic eDp5"), Some("Lavf/60")]);
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_split() {
        for end in 0..GET.len() {
            assert_eq!(Head::read(&GET.as_bytes()[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn what_is_no_head_is_refused() {
        let long = format!("GET / HTTP/1.0\r\nX: {}", "x".repeat(HEAD_BYTES));
        let many = format!("GET / HTTP/1.0\r\n{}\r\n", "X: y\r\n".repeat(HEADERS + 1));
        let cookie = format!("GET / HTTP/1.0\r\nx-sessioncookie: {}\r\n\r\n", "c".repeat(COOKIE_BYTES + 1));
        for (bytes, why) in [
            (long.as_str(), NotHttp::TooLong),
            (&many, NotHttp::TooLong),
            (&cookie, NotHttp::TooLong),
            ("OPTIONS * RTSP/1.0\r\n\r\n", NotHttp::Malformed),
            ("\x16\x03\x01", NotHttp::Malformed),
        ] {
            assert_eq!(Head::read(bytes.as_bytes()), Err(why), "{bytes:?}");
        }
    }
}
