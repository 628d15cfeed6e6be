//! What the admin endpoint answers: a pure function of method, path and source. Knows no socket.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, VARY,
};
use hyper::{Method, Response, StatusCode};

use super::super::metrics::{Accepts, Exposition};
use crate::event::Standstill;
use crate::serve::Previews;

/// Every route, answering GET and HEAD. Another path is 404, another method 405.
const ROUTES: &[Route] = &[
    Route { path: "/", about: "this page", answer: index },
    Route {
        path: "/metrics",
        about: "all metrics, in Prometheus' text format or as OpenMetrics",
        answer: metrics,
    },
    Route {
        path: "/live",
        about: "200 while all parts of the program move, 503 and the reason else",
        answer: live,
    },
    Route {
        path: "/ready",
        about: "200 while it serves viewers, and what it can not; 503 and the reason else",
        answer: ready,
    },
];

/// What the endpoint shows. Called on the admin thread; [`live`](Self::live) on that of the watch as well.
pub trait AdminSource: Send + Sync + 'static {
    /// All metrics, in the form that is accepted.
    fn metrics(&self, accepts: Accepts) -> Exposition;

    /// Whether the program serves viewers, in lines for an operator.
    ///
    /// # Errors
    /// Why it does not, in one line.
    fn ready(&self) -> Result<String, String>;

    /// Whether every part of the program moves.
    ///
    /// # Errors
    /// What stands still.
    fn live(&self) -> Result<(), Standstill>;

    /// Channels that are shown.
    fn previews(&self) -> Arc<Previews>;

    /// The endpoint itself has failed, and nobody is answered any more.
    fn give_up(&self, reason: &str);
}

pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

struct Route {
    path: &'static str,
    about: &'static str,
    answer: fn(&dyn AdminSource, &HeaderMap) -> Answer,
}

pub(super) fn answer(method: &Method, path: &str, headers: &HeaderMap, source: &dyn AdminSource) -> Answer {
    let Some(route) = ROUTES.iter().find(|route| route.path == path) else {
        return text(StatusCode::NOT_FOUND, "no such page; / lists those there are\n");
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "this page answers GET and HEAD\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    (route.answer)(source, headers)
}

fn index(_: &dyn AdminSource, _: &HeaderMap) -> Answer {
    let rows: String = ROUTES
        .iter()
        .map(|route| format!("<li><a href=\"{0}\">{0}</a> {1}</li>\n", route.path, route.about))
        .collect();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Mirrorball</title>\n\
         <h1>Mirrorball {}</h1>\n<ul>\n{rows}</ul>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    typed(StatusCode::OK, "text/html; charset=utf-8", page)
}

fn metrics(source: &dyn AdminSource, headers: &HeaderMap) -> Answer {
    let all_of = |name: HeaderName| {
        let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        values.join(",")
    };
    let metrics = source.metrics(Accepts::of(&all_of(ACCEPT), &all_of(ACCEPT_ENCODING)));
    let mut answer = typed(StatusCode::OK, metrics.content_type, metrics.bytes);
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if let Some(encoding) = metrics.encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    answer
}

fn live(source: &dyn AdminSource, _: &HeaderMap) -> Answer {
    match source.live() {
        Ok(()) => text(StatusCode::OK, "live\n"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn ready(source: &dyn AdminSource, _: &HeaderMap) -> Answer {
    match source.ready() {
        Ok(lines) => text(StatusCode::OK, lines),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
