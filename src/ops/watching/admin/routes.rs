//! What a request is for: a pure function of its method and target.

use hyper::Method;
use serde_json::Map;

use super::super::super::config::Role;
use super::super::api::{Call, Filter, client_of};
use crate::wire::rtsp::percent_decoded;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The status page, or one of its parts.
    Page(Part),
    Metrics,
    Live,
    Ready,
    /// What `/api` is, for programs.
    Description,
    /// What is going on, again and again.
    Events,
    /// A channel, as browsers play it.
    Preview(String),
    /// Something of `/api`, which may take what comes as the request's body.
    Call(Call),
}

/// What the status page is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Html,
    Style,
    Script,
}

/// Why a request is for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stray {
    NoPage,
    /// With what would be right.
    Method(&'static str),
    /// Its query is wrong, and how.
    Query(String),
}

impl Wanted {
    /// Which part it takes to have it; `None`: anybody has it.
    pub fn role(&self) -> Option<Role> {
        match self {
            Self::Live | Self::Ready | Self::Metrics => None,
            Self::Page(_) | Self::Description | Self::Events | Self::Preview(_) => Some(Role::Read),
            Self::Call(call) if call.changes() => Some(Role::Write),
            Self::Call(_) => Some(Role::Read),
        }
    }
}

/// What a request is for.
pub(super) fn route(method: &Method, path: &str, query: &str) -> Result<Wanted, Stray> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let read = |wanted: Wanted| if is_read { Ok(wanted) } else { Err(Stray::Method("GET, HEAD")) };
    match path {
        "/" => read(Wanted::Page(Part::Html)),
        "/status.css" => read(Wanted::Page(Part::Style)),
        "/status.js" => read(Wanted::Page(Part::Script)),
        "/metrics" => read(Wanted::Metrics),
        "/live" => read(Wanted::Live),
        "/ready" => read(Wanted::Ready),
        "/api" | "/api/" | "/api/openapi.json" => read(Wanted::Description),
        "/api/events" => read(Wanted::Events),
        "/api/status" => read(Wanted::Call(Call::Status)),
        "/api/refusals" => read(Wanted::Call(Call::Refusals(client_of(query).map_err(Stray::Query)?))),
        "/api/channels" => read(Wanted::Call(Call::Channels)),
        "/api/sessions" => read(Wanted::Call(Call::Sessions(Filter::parse(query).map_err(Stray::Query)?))),
        "/api/reload" if *method == Method::POST => Ok(Wanted::Call(Call::Reload)),
        "/api/reload" => Err(Stray::Method("POST")),
        "/api/drain" => match *method {
            Method::POST => Ok(Wanted::Call(Call::Drain(None))),
            Method::DELETE => Ok(Wanted::Call(Call::Undrain)),
            _ => Err(Stray::Method("POST, DELETE")),
        },
        _ => of_one(method, path),
    }
}

/// One channel, or one session.
fn of_one(method: &Method, path: &str) -> Result<Wanted, Stray> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if let Some(number) = path.strip_prefix("/api/sessions/") {
        let number = number.parse().map_err(|_| Stray::NoPage)?;
        return match *method {
            Method::DELETE => Ok(Wanted::Call(Call::EndSession(number))),
            _ if is_read => Ok(Wanted::Call(Call::Session(number))),
            _ => Err(Stray::Method("GET, HEAD, DELETE")),
        };
    }
    let name = path.strip_prefix("/api/channels/").filter(|name| !name.is_empty()).ok_or(Stray::NoPage)?;
    let name = percent_decoded(name).map_err(|_| Stray::NoPage)?;
    match name.strip_suffix("/preview.mp4") {
        Some(name) if *method == Method::GET => Ok(Wanted::Preview(name.to_owned())),
        Some(_) => Err(Stray::Method("GET")),
        None => match *method {
            Method::PUT => Ok(Wanted::Call(Call::PutChannel(name, Map::new()))),
            Method::DELETE => Ok(Wanted::Call(Call::RemoveChannel(name))),
            _ if is_read => Ok(Wanted::Call(Call::Channel(name))),
            _ => Err(Stray::Method("GET, HEAD, PUT, DELETE")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_changes_something_takes_more_than_what_shows_it() {
        let role = |method, path| route(&method, path, "").map(|wanted| wanted.role());
        assert_eq!(role(Method::GET, "/live"), Ok(None));
        assert_eq!(role(Method::HEAD, "/metrics"), Ok(None));
        for path in
            ["/", "/api", "/api/events", "/api/sessions", "/api/channels/news", "/api/channels/a/preview.mp4"]
        {
            assert_eq!(role(Method::GET, path), Ok(Some(Role::Read)), "{path}");
        }
        for (method, path) in [
            (Method::POST, "/api/reload"),
            (Method::POST, "/api/drain"),
            (Method::DELETE, "/api/drain"),
            (Method::DELETE, "/api/sessions/17"),
            (Method::PUT, "/api/channels/news"),
            (Method::DELETE, "/api/channels/news"),
        ] {
            assert_eq!(role(method, path), Ok(Some(Role::Write)), "{path}");
        }
    }

    #[test]
    fn a_name_may_have_slashes_and_escapes() {
        let name = |path| route(&Method::GET, path, "");
        assert_eq!(name("/api/channels/uk/news"), Ok(Wanted::Call(Call::Channel("uk/news".to_owned()))));
        assert_eq!(
            name("/api/channels/uk%2Fnews%20one"),
            Ok(Wanted::Call(Call::Channel("uk/news one".to_owned())))
        );
        assert_eq!(name("/api/channels/uk/news/preview.mp4"), Ok(Wanted::Preview("uk/news".to_owned())));
        for stray in [
            "/api/channels/",
            "/api/channels/%",
            "/api/channels/%zz",
            "/api/channels/%ff",
            "/api/sessions/x",
            "/metrics/",
        ] {
            assert_eq!(name(stray), Err(Stray::NoPage), "{stray}");
        }
        assert_eq!(route(&Method::POST, "/metrics", ""), Err(Stray::Method("GET, HEAD")));
        assert_eq!(route(&Method::GET, "/api/reload", ""), Err(Stray::Method("POST")));
    }

    proptest! {
        #[test]
        fn no_target_is_too_strange(path in "\\PC{0,60}", query in "\\PC{0,60}") {
            let _ = route(&Method::GET, &path, &query);
            let _ = route(&Method::PUT, &format!("/api/channels/{path}"), &query);
        }
    }
}
