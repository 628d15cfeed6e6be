//! One request on one connection, and its answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::serve::Certificates;

use super::super::api::{Call, Problem};
use super::super::metrics::Visits;
use super::answers::{self, Answer};
use super::events::Events;
use super::film::Film;
use super::gate::Entrance;
use super::room::{Guest, Room};
use super::routes::{Wanted, route};
use super::source::AdminSource;

/// What a client has to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest request head; no route needs a tenth of it.
pub(super) const HEAD_BYTES: usize = 16 * 1024;
/// The longest body.
const BODY_BYTES: usize = 64 * 1024;

/// What of a channel is not in its preview, in words.
const LEAVES_OUT: HeaderName = HeaderName::from_static("preview-leaves-out");

/// What all connections share.
pub(super) struct Shared {
    pub source: Arc<dyn AdminSource>,
    pub events: Events,
    pub room: Room,
    /// What it is served with through TLS, if it is.
    pub certificates: Option<Arc<Certificates>>,
    /// Nobody else than this machine's own can come.
    pub is_loopback: bool,
}

impl Shared {
    /// Who is here.
    fn visits(&self) -> Visits {
        let (connections, most_connections, made_way) = self.room.figures();
        let (pages, most_pages, pages_refused) = self.events.figures();
        let certificate_expires = self.certificates.as_ref().map(|served| served.expires());
        Visits {
            connections,
            most_connections,
            made_way,
            pages,
            most_pages,
            pages_refused,
            certificate_expires,
        }
    }
}

/// What carries HTTP: TCP, or TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(super) type Connection = http1::Connection<TokioIo<Box<dyn Stream>>, Answers>;

/// A connection for one request.
pub(super) fn connection(stream: Box<dyn Stream>, shared: &Arc<Shared>, guest: Arc<Guest>) -> Connection {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), Answers { shared: shared.clone(), guest })
}

pub(super) struct Answers {
    shared: Arc<Shared>,
    guest: Arc<Guest>,
}

impl Service<Request<Incoming>> for Answers {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.guest.ask();
        let (shared, guest) = (self.shared.clone(), self.guest.clone());
        Box::pin(async move { Ok(answer(&shared, &guest, request).await) })
    }
}

async fn answer(shared: &Arc<Shared>, guest: &Guest, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let wanted = match route(&head.method, head.uri.path(), head.uri.query().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(stray) => return answers::stray(&stray),
    };
    let source = &*shared.source;
    if let Some(role) = wanted.role() {
        let (tokens, is_loopback) = (source.tokens(), shared.is_loopback);
        if let Err(denied) = (Entrance { tokens: &tokens, is_loopback }).judge(role, &head.headers) {
            return answers::denied(denied);
        }
    }
    match wanted {
        Wanted::Page(part) => answers::page(part),
        Wanted::Metrics => answers::metrics(source, shared.visits(), &head.headers),
        Wanted::Live => answers::live(source),
        Wanted::Ready => answers::ready(source),
        Wanted::Description => answers::description(),
        Wanted::Events => events(shared, guest),
        Wanted::Preview(name) => preview(source, guest, &name).await,
        Wanted::Call(call) => match with_body(call, body).await {
            Ok(call) => answers::result(carry_out(shared.source.clone(), call).await),
            Err(problem) => answers::result(Err(problem)),
        },
    }
}

/// Where it may take a while, and holds nobody up.
async fn carry_out(source: Arc<dyn AdminSource>, call: Call) -> Result<Value, Problem> {
    let called = tokio::task::spawn_blocking(move || source.call(&call)).await;
    called.unwrap_or_else(|_| {
        Err(Problem { status: 500, error: "the call has failed; the log says why".to_owned() })
    })
}

/// What a body says beside the target.
async fn with_body(call: Call, body: Incoming) -> Result<Call, Problem> {
    let wrong = |error: String| Problem { status: 400, error };
    if !matches!(call, Call::Drain(_) | Call::PutChannel(..)) {
        return Ok(call);
    }
    let collected = Limited::new(body, BODY_BYTES).collect().await;
    let bytes = collected.map_err(|error| wrong(format!("the body can not be read: {error}")))?.to_bytes();
    if bytes.is_empty() && matches!(call, Call::Drain(_)) {
        return Ok(call);
    }
    let object: Map<String, Value> = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("the body is no object of JSON: {error}")))?;
    if let Call::PutChannel(name, _) = call {
        return Ok(Call::PutChannel(name, object));
    }
    let seconds =
        object.get("seconds").and_then(Value::as_f64).filter(|seconds| (0.0..=86_400.0).contains(seconds));
    let seconds = seconds
        .ok_or_else(|| wrong("write {\"seconds\": N}, with N from 0 to 86400, or no body".to_owned()))?;
    Ok(Call::Drain(Some(Duration::from_secs_f64(seconds))))
}

fn events(shared: &Shared, guest: &Guest) -> Answer {
    match shared.events.follow() {
        Some(stream) => {
            guest.stream();
            answers::body_of(StatusCode::OK, "text/event-stream", stream.boxed())
        }
        None => answers::error_object(StatusCode::SERVICE_UNAVAILABLE, "as many pages are open as may be"),
    }
}

async fn preview(source: &dyn AdminSource, guest: &Guest, name: &str) -> Answer {
    let Some(previews) = source.previews() else {
        return answers::error_object(StatusCode::NOT_FOUND, "there are no previews here");
    };
    // What it is waited for is counted by previews.
    guest.stream();
    match previews.open(name).await {
        Ok(preview) => {
            let left_out = preview.left_out().map(|what| HeaderValue::from_str(&what.to_string()));
            let media_type = preview.media_type().to_owned();
            let mut answer = answers::body_of(StatusCode::OK, &media_type, Film(preview).boxed());
            answer.headers_mut().extend(left_out.and_then(Result::ok).map(|value| (LEAVES_OUT, value)));
            answer
        }
        Err(why) => {
            let status = StatusCode::from_u16(why.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            answers::error_object(status, &why.to_string())
        }
    }
}
