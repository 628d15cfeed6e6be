//! Answers: what is said, and how it is labelled. Knows no socket.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::super::config::Role;
use super::super::api::Problem;
use super::super::metrics::{Accepts, Visits};
use super::gate::Denied;
use super::routes::{Part, Stray};
use super::source::AdminSource;

pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Nothing but what comes from here, and no other page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What `/api` is.
const DESCRIPTION: &str = include_str!("openapi.json");

pub(super) fn metrics(source: &dyn AdminSource, visits: Visits, headers: &HeaderMap) -> Answer {
    let all_of = |name: HeaderName| {
        let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        values.join(",")
    };
    let metrics = source.metrics(visits, Accepts::of(&all_of(ACCEPT), &all_of(ACCEPT_ENCODING)));
    let mut answer = typed(StatusCode::OK, metrics.content_type, metrics.bytes);
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(encoding) = metrics.encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    answer
}

pub(super) fn live(source: &dyn AdminSource) -> Answer {
    match source.live() {
        Ok(()) => text(StatusCode::OK, "live\n"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

pub(super) fn ready(source: &dyn AdminSource) -> Answer {
    match source.ready() {
        Ok(lines) => text(StatusCode::OK, lines),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

/// A part of the status page.
pub(super) fn page(part: Part) -> Answer {
    let (content_type, body) = match part {
        Part::Html => ("text/html; charset=utf-8", include_str!("page/status.html")),
        Part::Style => ("text/css; charset=utf-8", include_str!("page/status.css")),
        Part::Script => ("text/javascript; charset=utf-8", include_str!("page/status.js")),
    };
    let mut answer = typed(StatusCode::OK, content_type, body);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

pub(super) fn description() -> Answer {
    typed(StatusCode::OK, "application/json", DESCRIPTION)
}

pub(super) fn result(result: Result<Value, Problem>) -> Answer {
    match result {
        Ok(value) => typed(StatusCode::OK, "application/json", format!("{value}\n")),
        Err(Problem { status, error }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            error_object(status, &error)
        }
    }
}

/// A request that is for nothing.
pub(super) fn stray(stray: &Stray) -> Answer {
    match stray {
        Stray::NoPage => {
            text(StatusCode::NOT_FOUND, "no such page; / is the status page, /api says what else there is\n")
        }
        Stray::Method(allowed) => {
            let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("this page answers {allowed}\n"));
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        Stray::Query(wrong) => error_object(StatusCode::BAD_REQUEST, wrong),
    }
}

/// A request that is not for who asks.
pub(super) fn denied(denied: Denied) -> Answer {
    let why = match denied {
        Denied::Login => "this takes a token of [admin] tokens: as a bearer's, or as the password of a login",
        Denied::Role => "the token is for reading; this takes one for writing",
        Denied::NoTokens(Role::Write) => {
            "nobody may change something without a token; write tokens = \"FILE\" in [admin]"
        }
        Denied::NoTokens(Role::Read) => {
            "off this machine nobody is shown this without a token; write tokens = \"FILE\" in [admin]"
        }
        Denied::Foreign => {
            "a page of another site has asked for this; open it by an address, or as localhost"
        }
    };
    let status = if denied == Denied::Login { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
    let mut answer = error_object(status, why);
    if denied == Denied::Login {
        let challenge = HeaderValue::from_static("Basic realm=\"Mirrorball admin\", charset=\"UTF-8\"");
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    answer
}

pub(super) fn error_object(status: StatusCode, error: &str) -> Answer {
    typed(status, "application/json", format!("{}\n", json!({ "error": error })))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    body_of(status, content_type, Full::new(body.into()).boxed())
}

/// An answer with any body.
pub(super) fn body_of(status: StatusCode, content_type: &str, body: BoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let content_type =
        HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
