//! Accepts the admin endpoint's connections and serves one request on each. Knows hyper and tokio, and
//! nothing of what is answered.

use std::convert::Infallible;
use std::future::{poll_fn, ready};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::preview::{self, Taken};
use super::routes::{AdminSource, Answer, answer};
use crate::event::{Episode, Priority, clock, spawn};
use crate::net::SpareDescriptor;

/// Connections at a time; further ones wait in the kernel's backlog until one is done.
const CONNECTIONS: usize = 64;

/// What a client has for its whole exchange: connections are closed after one answer, so that none of
/// the few there are is held by an idle or a stalled client.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a client has to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest request head; no route needs a tenth of it.
const HEAD_BYTES: usize = 16 * 1024;

/// What running exchanges have to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after an accept that failed with the spare descriptor too.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The running endpoint. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct AdminServer {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl AdminServer {
    /// Listens on `listen` and serves `source` from a thread named `admin`.
    ///
    /// # Errors
    /// The address cannot be listened on, or the thread cannot be started.
    pub fn start(listen: SocketAddr, source: Arc<dyn AdminSource>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let local_addr = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = watch::channel(false);
        let thread = spawn("admin".to_owned(), Priority::Low, move || {
            let serving = serve(listener, source.clone(), stopped);
            if catch_unwind(AssertUnwindSafe(|| runtime.block_on(serving))).is_err() {
                source.give_up("the admin endpoint has failed");
            }
            runtime.shutdown_background();
        })?;
        Ok(Self { local_addr, stop, thread })
    }

    /// The address in use; its port is the kernel's choice where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Closes the listener, lets running exchanges end for at most a second, and joins the thread.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the admin thread had panicked");
        }
    }
}

async fn serve(listener: TcpListener, source: Arc<dyn AdminSource>, stopped: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::select! {
        () = accept(listener, &permits, &source, &stopped) => {}
        () = until_stopped(stopped.clone()) => {}
    }
    // All permits are back once every exchange has ended.
    let all = permits.acquire_many(CONNECTIONS as u32);
    if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
        tracing::debug!("admin exchanges were cut short by the stop");
    }
}

async fn accept(
    listener: TcpListener,
    permits: &Arc<Semaphore>,
    source: &Arc<dyn AdminSource>,
    stopped: &watch::Receiver<bool>,
) {
    let (spare, trouble) = (SpareDescriptor::new(), Episode::default());
    while let Ok(permit) = Arc::clone(permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let taken = Taken::default();
                let mut connection = Box::pin(connection(stream, Arc::clone(source), taken.clone()));
                let stopped = stopped.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    tokio::select! {
                        () = exchange(connection.as_mut(), stopped) => {}
                        () = too_long(&taken) => {}
                    }
                });
            }
            Err(error) => {
                if trouble.begins(clock::now()) {
                    tracing::warn!(%error, "the admin endpoint serves one client at a time (see LimitNOFILE, ulimit -n)");
                }
                serve_alone(&listener, &spare, source, stopped).await;
            }
        }
    }
}

/// Serves one client, who waits already, with the descriptor that was spared: when none are left, operators have to look.
async fn serve_alone(
    listener: &TcpListener,
    spare: &SpareDescriptor,
    source: &Arc<dyn AdminSource>,
    stopped: &watch::Receiver<bool>,
) {
    let accepted = poll_fn(|context| Poll::Ready(spare.give(|| listener.poll_accept(context)))).await;
    let Poll::Ready(Ok((stream, _))) = accepted else {
        spare.take_back(|| ());
        return tokio::time::sleep(ACCEPT_RETRY).await;
    };
    let mut connection = Box::pin(connection(stream, Arc::clone(source), Taken::default()));
    let exchange = exchange(connection.as_mut(), stopped.clone());
    let _ = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await;
    spare.take_back(|| drop(connection));
}

/// A connection for one request.
fn connection(stream: TcpStream, source: Arc<dyn AdminSource>, taken: Taken) -> Connection {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), Answers { source, taken })
}

type Connection = http1::Connection<TokioIo<TcpStream>, Answers>;

struct Answers {
    source: Arc<dyn AdminSource>,
    taken: Taken,
}

impl Service<Request<Incoming>> for Answers {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let path = request.uri().path();
        if let Some(name) = preview::channel(path).filter(|_| request.method() == Method::GET) {
            let (previews, taken) = (self.source.previews(), self.taken.clone());
            return Box::pin(async move { Ok(preview::answer(&name, &previews, taken).await) });
        }
        Box::pin(ready(Ok(answer(request.method(), path, request.headers(), &*self.source))))
    }
}

/// Ends when an exchange has taken its time, and nothing is taken of it any more.
async fn too_long(taken: &Taken) {
    let mut before = 0;
    loop {
        tokio::time::sleep(EXCHANGE_TIMEOUT).await;
        if std::mem::replace(&mut before, taken.read()) == before {
            return;
        }
    }
}

/// Serves the request. Errors are the client's own affair.
async fn exchange(mut connection: Pin<&mut Connection>, stopped: watch::Receiver<bool>) {
    tokio::select! {
        _ = connection.as_mut() => return,
        () = until_stopped(stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Ends when the server is told to stop, or is dropped.
async fn until_stopped(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::super::super::metrics::{Accepts, Exposition};
    use super::*;
    use crate::event::Standstill;
    use crate::event::clock;
    use crate::serve::Previews;
    use socket2::{Domain, Socket, Type};
    use std::fs::File;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, Shutdown, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    /// A source that is ready, or stands still, when it is told so.
    struct Source {
        ready: AtomicBool,
        live: AtomicBool,
        metrics: Vec<u8>,
    }

    impl AdminSource for Source {
        fn metrics(&self, accepts: Accepts) -> Exposition {
            let encoding = accepts.gzip.then_some("gzip");
            Exposition { bytes: self.metrics.clone(), content_type: "text/plain; version=0.0.4", encoding }
        }

        fn ready(&self) -> Result<String, String> {
            if self.ready.load(SeqCst) { Ok("ready\n".into()) } else { Err("no listener yet".into()) }
        }

        fn live(&self) -> Result<(), Standstill> {
            let stands = Standstill { what: "poll-media-3".into(), for_good: false };
            if self.live.load(SeqCst) { Ok(()) } else { Err(stands) }
        }

        fn previews(&self) -> Arc<Previews> {
            Arc::new(Previews::new(Arc::default(), 0))
        }

        fn give_up(&self, _: &str) {
            self.live.store(false, SeqCst);
        }
    }

    fn start(metrics: &[u8]) -> (AdminServer, Arc<Source>) {
        let (ready, live) = (AtomicBool::new(false), AtomicBool::new(true));
        let source = Arc::new(Source { ready, live, metrics: metrics.to_vec() });
        let server =
            AdminServer::start((Ipv4Addr::LOCALHOST, 0).into(), source.clone()).expect("a free port");
        (server, source)
    }

    fn connect(server: &AdminServer) -> TcpStream {
        let stream = TcpStream::connect(server.local_addr()).expect("a listener");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream
    }

    /// What comes back for `request`, up to the close.
    fn ask(server: &AdminServer, request: &str) -> String {
        let mut stream = connect(server);
        stream.write_all(request.as_bytes()).expect("a request sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer and a close");
        answer
    }

    fn get(server: &AdminServer, path: &str) -> String {
        ask(server, &format!("GET {path} HTTP/1.1\r\nHost: edge\r\n\r\n"))
    }

    #[test]
    fn a_scrape_gets_the_metrics_in_the_text_format() {
        let (server, _) = start(b"mirrorball_sessions 3\n");
        let answer = get(&server, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nmirrorball_sessions 3\n"), "{answer}");
        assert!(!answer.contains("content-encoding"), "{answer}");
        let accepts = "Accept-Encoding: deflate\r\nAccept-Encoding: gzip;q=0.5\r\n";
        let answer = ask(&server, &format!("GET /metrics HTTP/1.1\r\nHost: edge\r\n{accepts}\r\n"));
        assert!(answer.contains("content-encoding: gzip\r\n"), "what is accepted is passed on: {answer}");
        server.stop();
    }

    #[test]
    fn ready_and_live_follow_the_source_each_for_itself() {
        let (server, source) = start(b"");
        let answer = get(&server, "/ready");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("not ready: no listener yet\n"), "{answer}");
        assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "));
        source.ready.store(true, SeqCst);
        source.live.store(false, SeqCst);
        assert!(get(&server, "/ready").starts_with("HTTP/1.1 200 "));
        let answer = get(&server, "/live");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("standing still: poll-media-3\n"), "{answer}");
        server.stop();
    }

    #[test]
    fn the_front_page_lists_the_others() {
        let (server, _) = start(b"");
        let answer = get(&server, "/");
        for path in ["/metrics", "/live", "/ready"] {
            assert!(answer.contains(&format!("href=\"{path}\"")), "{answer}");
        }
        server.stop();
    }

    #[test]
    fn another_path_is_404_and_another_method_405() {
        let (server, _) = start(b"mirrorball_sessions 3\n");
        assert!(get(&server, "/metrics/").starts_with("HTTP/1.1 404 "));
        let refused = ask(&server, "POST /metrics HTTP/1.1\r\nHost: edge\r\nContent-Length: 0\r\n\r\n");
        assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
        assert!(refused.contains("allow: GET, HEAD\r\n"), "{refused}");
        let head = ask(&server, "HEAD /metrics HTTP/1.1\r\nHost: edge\r\n\r\n");
        assert!(head.contains("content-length: 22\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        server.stop();
    }

    #[test]
    fn what_is_not_http_is_closed_and_the_next_client_is_served() {
        let (server, _) = start(b"");
        for noise in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", &"x".repeat(2 * HEAD_BYTES)] {
            let mut stream = connect(&server);
            let _ = stream.write_all(noise.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "));
        server.stop();
    }

    #[test]
    fn more_clients_than_there_is_room_for_wait_for_their_turn() {
        let (server, _) = start(b"");
        let idle: Vec<_> = (0..CONNECTIONS).map(|_| connect(&server)).collect();
        let mut waiting = connect(&server);
        waiting.write_all(b"GET /live HTTP/1.1\r\nHost: edge\r\n\r\n").expect("a request sent");
        drop(idle);
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        server.stop();
    }

    #[test]
    fn a_stop_does_not_wait_for_a_client_that_does_not_read() {
        let (server, _) = start(&vec![b'#'; 32 << 20]);
        let mut stalled = connect(&server);
        stalled.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n").expect("a request sent");
        stalled.read_exact(&mut [0; 8]).expect("the answer begins");
        let address = server.local_addr();
        let began = clock::now();
        server.stop();
        assert!(began.elapsed() < EXCHANGE_TIMEOUT, "the stop is bounded by its own time");
        assert!(TcpStream::connect(address).is_err(), "the listener is closed");
    }

    #[test]
    fn without_descriptors_one_client_after_the_other_is_answered() {
        let name =
            "ops::watching::admin::server::tests::without_descriptors_one_client_after_the_other_is_answered";
        crate::event::testing::in_a_process_of_its_own(name, || {
            let (server, _) = start(b"mirrorball_sessions 3\n");
            assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "), "it runs, and has its spare");
            let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            let clients: Vec<_> = (0..3).map(|_| socket()).collect();
            let taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            for client in clients {
                client.connect(&server.local_addr().into()).expect("a listener");
                let mut client = TcpStream::from(client);
                client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
                client.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n").expect("sent");
                let mut answer = String::new();
                client.read_to_string(&mut answer).expect("an answer");
                assert!(answer.ends_with("mirrorball_sessions 3\n"), "{answer}");
            }
            drop(taken);
            server.stop();
        });
    }

    #[test]
    fn an_address_in_use_is_an_error() {
        let (server, source) = start(b"");
        let error = AdminServer::start(server.local_addr(), source).expect_err("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        server.stop();
    }
}
