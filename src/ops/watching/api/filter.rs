//! Which sessions are asked for, and which page of them.

/// A page has so many at most.
const MOST: usize = 1000;
/// And so many where nothing is said.
const USUAL: usize = 100;

/// Those of a channel, of a client, by a transport, behind a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The channel's name.
    pub channel: Option<String>,
    /// What the viewer's address begins with.
    pub client: Option<String>,
    /// `udp`, `tcp` …
    pub transport: Option<String>,
    /// Those with a higher number alone.
    pub after: u64,
    /// So many at most.
    pub limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self { channel: None, client: None, transport: None, after: 0, limit: USUAL }
    }
}

impl Filter {
    /// What a query says (`application/x-www-form-urlencoded`).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = value.clone().into_owned();
            match &*key {
                "channel" => filter.channel = Some(text),
                "client" => filter.client = Some(text),
                "transport" => filter.transport = Some(text),
                "after" => {
                    filter.after =
                        value.parse().map_err(|_| format!("after is {value:?}; write a session's number"))?
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    filter.limit = limit.ok_or_else(|| format!("limit is {value:?}; write 1 to {MOST}"))?;
                }
                other => {
                    return Err(format!("{other:?} is none of channel, client, transport, after, limit"));
                }
            }
        }
        Ok(filter)
    }
}

/// What a client's address begins with, where a query says nothing else.
///
/// # Errors
/// What is wrong with it.
pub fn client_of(query: &str) -> Result<Option<String>, String> {
    let mut client = None;
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if key != "client" {
            return Err(format!("{key:?} is not client"));
        }
        client = Some(value.into_owned());
    }
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_which_sessions_and_how_many() {
        assert_eq!(Filter::parse(""), Ok(Filter::default()));
        let filter =
            Filter::parse("channel=uk%2Fnews&client=192.0.2.&transport=tcp&after=17&limit=5").expect("right");
        assert_eq!(
            (filter.channel.as_deref(), filter.client.as_deref()),
            (Some("uk/news"), Some("192.0.2."))
        );
        assert_eq!((filter.transport.as_deref(), filter.after, filter.limit), (Some("tcp"), 17, 5));
        for wrong in ["limit=0", "limit=1001", "after=-1", "page=2"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(client_of("client=2001%3Adb8%3A"), Ok(Some("2001:db8:".to_owned())));
        assert!(client_of("channel=news").is_err());
    }
}
