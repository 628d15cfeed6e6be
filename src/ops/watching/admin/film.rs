//! A preview as the body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

use crate::serve::Preview;

/// Ends as the preview does, which goes on as long as it is asked for more.
pub(super) struct Film(pub Preview);

impl Body for Film {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_next(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
