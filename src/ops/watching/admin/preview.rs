//! A channel shown to who asks for it: a film without end, or why there is none. Knows no socket.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::routes::Answer;
use crate::serve::{NoPreview, Preview, Previews};
use crate::wire::rtsp::percent_decoded;

/// What a channel's name is between.
const BEGIN: &str = "/api/channels/";
const END: &str = "/preview.mp4";

/// What of the channel is not in it, in words.
const LEAVES_OUT: HeaderName = HeaderName::from_static("preview-leaves-out");

/// Who asks for more of an exchange, counted: one that takes longer than others is cut off where nothing is taken of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<AtomicU64>);

/// A preview as a body.
struct Film {
    preview: Preview,
    taken: Taken,
}

/// The channel that a path asks to have shown.
pub(super) fn channel(path: &str) -> Option<String> {
    percent_decoded(path.strip_prefix(BEGIN)?.strip_suffix(END)?).ok()
}

/// Shows a channel, as long as it is taken.
pub(super) async fn answer(name: &str, previews: &Previews, taken: Taken) -> Answer {
    taken.count();
    let preview = match previews.open(name).await {
        Ok(preview) => preview,
        Err(why) => return refusal(&why),
    };
    let media_type = HeaderValue::from_str(preview.media_type());
    let left_out = preview.left_out().map(|what| HeaderValue::from_str(&what.to_string()));
    let mut answer = Response::new(Film { preview, taken }.boxed());
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(media_type.ok().map(|value| (CONTENT_TYPE, value)));
    headers.extend(left_out.and_then(Result::ok).map(|value| (LEAVES_OUT, value)));
    answer
}

fn refusal(why: &NoPreview) -> Answer {
    let body = serde_json::json!({ "error": why.to_string() }).to_string() + "\n";
    let mut answer = Response::new(Full::from(body).boxed());
    *answer.status_mut() = StatusCode::from_u16(why.status()).unwrap_or(StatusCode::NOT_FOUND);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

impl Taken {
    fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Body for Film {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.taken.count();
        self.preview.poll_next(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_channel() {
        assert_eq!(channel("/api/channels/news/preview.mp4").as_deref(), Some("news"));
        assert_eq!(channel("/api/channels/a%20b/c/preview.mp4").as_deref(), Some("a b/c"));
        for path in [
            "/api/channels/news",
            "/api/channels/preview.mp4",
            "/news/preview.mp4",
            "/api/channels/%/preview.mp4",
        ] {
            assert_eq!(channel(path), None, "{path}");
        }
    }
}
