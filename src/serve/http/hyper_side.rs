//! What hyper is given of a connection: its bytes both ways, and who answers. Each poll of it leaves [`Signs`] of what is to be done
//! next. It reads heads, keeps to their limits and writes replies; the connection is polled for it elsewhere.

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::Service;

use crate::event::{Interest, lock};
use crate::wire::http::{Spoken, spoken};

use super::super::access::{Good, Share};
use super::super::stats::CutFor;
use super::super::stream::{ByteStream, READ_BYTES};
use super::request::{Answer, Client, HttpService, LeadOn, Request};

/// The most that a head may have, in bytes: hyper takes no less.
pub const HEAD_BYTES: usize = 8 << 10;
const HEADERS: usize = 64;

pub(super) type Http = http1::Connection<Io, Answers>;

/// What a poll has left to be known.
#[derive(Default)]
pub(super) struct Signs {
    /// What the socket is waited for.
    pub blocked: Option<Interest>,
    /// Bytes that have come and belong to no whole head.
    pub unfinished: usize,
    /// Requests that were read, and answered.
    pub asked: u64,
    pub answered: u64,
    /// Replies are not all out.
    pub has_unsent: bool,
    /// The client says no more, or is to be hung up on for this. Hyper tells no errors of reading.
    pub has_ended: bool,
    pub cut: Option<CutFor>,
    /// The connection is to be another's, with what hyper has taken in of the body.
    pub lead_on: Option<(LeadOn, Option<Incoming>)>,
}

impl Signs {
    fn ask(&mut self) {
        self.asked += 1;
        self.unfinished = 0;
    }

    /// What has come since it was asked is its body.
    fn answer(&mut self) {
        self.answered += 1;
        self.unfinished = 0;
    }

    fn end(&mut self, cut: Option<CutFor>) {
        (self.has_ended, self.cut) = (true, cut);
    }
}

/// Hyper's side of a client's connection; `first` is what the client has said.
pub(super) fn serve(
    client: &Arc<Client>,
    service: &Arc<dyn HttpService>,
    first: Vec<u8>,
) -> (Http, Arc<Mutex<Signs>>) {
    let signs = Arc::<Mutex<Signs>>::default();
    let io = Io { stream: client.stream.clone(), first, signs: signs.clone() };
    let answers = Answers { client: client.clone(), service: service.clone(), signs: signs.clone() };
    let http = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .half_close(true)
        .title_case_headers(true) // there are players that know them so alone
        .serve_connection(io, answers);
    (http, signs)
}

pub(super) struct Io {
    stream: ByteStream,
    /// What has come and hyper has not had.
    first: Vec<u8>,
    signs: Arc<Mutex<Signs>>,
}

impl Io {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.first.is_empty() {
            return self.stream.read(into);
        }
        let count = self.first.len().min(into.len());
        let rest = self.first.split_off(count);
        into[..count].copy_from_slice(&mem::replace(&mut self.first, rest));
        Ok(count)
    }

    /// What has come of a call that does not wait.
    fn come<T>(&self, result: io::Result<T>, wanted: Interest) -> Poll<io::Result<T>> {
        match result {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                let blocked = &mut lock(&self.signs).blocked;
                *blocked = blocked.filter(|is| *is == Interest::Write).or(Some(wanted));
                Poll::Pending
            }
            result => {
                if let Err(error) = &result {
                    lock(&self.signs).end(CutFor::of_tls(error));
                }
                Poll::Ready(result)
            }
        }
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut part = [0; READ_BYTES];
        let part = &mut part[..into.remaining().min(READ_BYTES)];
        let read = self.read(part);
        let count = match self.come(read, Interest::Read)? {
            Poll::Ready(count) => count,
            Poll::Pending => return Poll::Pending,
        };
        let mut signs = lock(&self.signs);
        if (signs.asked, signs.unfinished) == (0, 0) && spoken(&part[..count]) == Some(Spoken::Tls) {
            signs.end(Some(CutFor::TlsInTheClear));
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        signs.unfinished += count;
        signs.has_ended = count == 0;
        into.put_slice(&part[..count]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.signs).has_unsent = true;
        self.come(self.stream.write_now(slices), Interest::Write)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called when all is written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.come(self.stream.flush(), Interest::Write);
        lock(&self.signs).has_unsent &= !matches!(flushed, Poll::Ready(Ok(())));
        flushed
    }

    /// The stream is ended by who has it next.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Leads requests to who answers them.
pub(super) struct Answers {
    client: Arc<Client>,
    service: Arc<dyn HttpService>,
    signs: Arc<Mutex<Signs>>,
}

/// A reply, as a part of what the client's address may have us hold.
struct Held {
    body: String,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.body.as_bytes()
    }
}

impl Service<hyper::Request<Incoming>> for Answers {
    type Response = hyper::Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        let Self { client, service, signs } = self;
        lock(signs).ask();
        let (head, body) = request.into_parts();
        let request = Request::new(client.clone(), head);
        // What comes up a tunnel is a body; any other is passed over, if it is there already, or ends the connection.
        let body = request.cookie().map(|_| body);
        let (label, client, signs) = (request.label(), client.clone(), signs.clone());
        let answering = service.clone().serve(request);
        Box::pin(async move {
            let answer = answering.await;
            let status = if let Answer::Reply(reply) = &answer { reply.status().as_u16() } else { 200 };
            client.server.counters.http_request(label, status);
            match answer {
                Answer::Reply(reply) => {
                    lock(&signs).answer();
                    let Ok(share) = client.account.take(Good::UnreadBytes, reply.body().len() as u64) else {
                        lock(&signs).end(Some(CutFor::UnreadBytes));
                        return Err("an address has too much unread");
                    };
                    Ok(reply.map(|body| Full::new(Bytes::from_owner(Held { body, _share: share }))))
                }
                Answer::LeadOn(then) => {
                    lock(&signs).lead_on = Some((then, body));
                    std::future::pending().await
                }
            }
        })
    }
}

/// What hyper has taken in of a body and nobody has read, as it came.
pub(super) fn taken_in(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut context = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
        bytes.extend(frame.into_data().into_iter().flatten());
    }
    bytes
}
