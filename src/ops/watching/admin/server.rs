//! Accepts the admin endpoint's connections, in the clear or through TLS, and serves one request on each. Knows tokio, and nothing of what
//! is answered.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::events::Events;
use super::exchange::{Connection, Shared, Stream, connection};
use super::room::{Guest, Room};
use super::source::AdminSource;
use crate::event::{Episode, Priority, clock, spawn};
use crate::net::SpareDescriptor;
use crate::serve::Certificates;

/// Connections at a time that are no streams. Who comes beyond them has the place of one who has asked for nothing yet.
const CONNECTIONS: usize = 64;

/// Calls at a time that may have to wait.
const CALLS: usize = 4;

/// What a client has for its whole exchange, unless that is a stream: connections are closed after one answer, so that none of
/// the few there are is held by an idle or a stalled client.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that takes nothing of a stream for so long is gone.
const STREAM_TIMEOUT: Duration = Duration::from_secs(20);

/// What running exchanges have to end when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after an accept that failed with the spare descriptor too.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where it listens, and how.
#[derive(Debug)]
pub struct AdminConfig {
    /// The address.
    pub listen: SocketAddr,
    /// What was listened on there before this process began.
    pub kept: Option<StdListener>,
    /// What it is served with through TLS, if it is.
    pub certificates: Option<Arc<Certificates>>,
}

/// The running endpoint. Dropping it stops it too, without waiting.
#[derive(Debug)]
pub struct AdminServer {
    local_addr: SocketAddr,
    socket: StdListener,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

/// What the thread works with.
struct Server {
    shared: Arc<Shared>,
    stopped: watch::Receiver<bool>,
}

impl AdminServer {
    /// Listens, and serves `source` from a thread named `admin`.
    ///
    /// # Errors
    /// The address cannot be listened on, or the thread cannot be started.
    pub fn start(config: AdminConfig, source: Arc<dyn AdminSource>) -> io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(CALLS).build()?;
        let listener = config.kept.map_or_else(|| StdListener::bind(config.listen), Ok)?;
        listener.set_nonblocking(true)?;
        let (local_addr, socket) = (listener.local_addr()?, listener.try_clone()?);
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = watch::channel(false);
        let is_loopback = local_addr.ip().is_loopback();
        let (events, room) = (Events::new(), Room::new(CONNECTIONS));
        let certificates = config.certificates;
        let shared = Arc::new(Shared { source: source.clone(), events, room, certificates, is_loopback });
        let server = Server { shared, stopped };
        let thread = spawn("admin".to_owned(), Priority::Low, move || {
            if catch_unwind(AssertUnwindSafe(|| runtime.block_on(server.serve(listener)))).is_err() {
                source.give_up("the admin endpoint has failed");
            }
            runtime.shutdown_background();
        })?;
        Ok(Self { local_addr, socket, stop, thread })
    }

    /// The address in use; its port is the kernel's choice where port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What it listens on.
    ///
    /// # Errors
    /// There is no descriptor for it.
    pub fn socket(&self) -> io::Result<StdListener> {
        self.socket.try_clone()
    }

    /// Closes the listener, lets running exchanges end for at most a second, and joins the thread.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the admin thread had panicked");
        }
    }
}

impl Server {
    async fn serve(&self, listener: TcpListener) {
        tokio::select! {
            () = self.accept(listener) => {}
            () = self.shared.events.tell(&self.shared.source) => {}
            () = until_stopped(self.stopped.clone()) => {}
        }
        if tokio::time::timeout(STOP_TIMEOUT, self.shared.room.empty()).await.is_err() {
            tracing::debug!("admin exchanges were cut short by the stop");
        }
    }

    async fn accept(&self, listener: TcpListener) {
        let (spare, trouble) = (SpareDescriptor::new(), Episode::default());
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let guest = self.shared.room.take().await;
                    let (shared, stopped) = (self.shared.clone(), self.stopped.clone());
                    let served = guest.clone();
                    let task = tokio::spawn(async move {
                        serve_one(stream, (&shared, served), stopped).await;
                    });
                    self.shared.room.seat(guest, task.abort_handle());
                }
                Err(error) => {
                    if trouble.begins(clock::now()) {
                        tracing::warn!(%error, "the admin endpoint serves one client at a time (see LimitNOFILE, ulimit -n)");
                    }
                    self.serve_alone(&listener, &spare).await;
                }
            }
        }
    }

    /// Serves one client, who waits already, with the descriptor that was spared: when none are left, operators have to look.
    async fn serve_alone(&self, listener: &TcpListener, spare: &SpareDescriptor) {
        let accepted = poll_fn(|context| Poll::Ready(spare.give(|| listener.poll_accept(context)))).await;
        let Poll::Ready(Ok((stream, _))) = accepted else {
            spare.take_back(|| ());
            return tokio::time::sleep(ACCEPT_RETRY).await;
        };
        let guest = self.shared.room.take().await;
        let serving = serve_one(stream, (&self.shared, guest), self.stopped.clone());
        let mut serving = Box::pin(serving);
        let _ = tokio::time::timeout(EXCHANGE_TIMEOUT, serving.as_mut()).await;
        spare.take_back(|| drop(serving));
    }
}

/// Serves one connection, in its time. A stream has as much as it wants, while its client reads.
async fn serve_one(
    stream: TcpStream,
    (shared, guest): (&Arc<Shared>, Arc<Guest>),
    stopped: watch::Receiver<bool>,
) {
    if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(STREAM_TIMEOUT)) {
        tracing::debug!(%error, "a client of the admin endpoint may be gone for long without being noticed");
    }
    let exchange = async {
        let stream: Box<dyn Stream> = match &shared.certificates {
            None => Box::new(stream),
            Some(certificates) => match TlsAcceptor::from(certificates.present()).accept(stream).await {
                Ok(secret) => Box::new(secret),
                Err(error) => return tracing::debug!(%error, "a handshake of the admin endpoint failed"),
            },
        };
        let mut connection = Box::pin(connection(stream, shared, guest.clone()));
        exchange(connection.as_mut(), stopped).await;
    };
    let mut exchange = std::pin::pin!(exchange);
    if tokio::time::timeout(EXCHANGE_TIMEOUT, exchange.as_mut()).await.is_err() && guest.is_streaming() {
        exchange.await;
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
#[path = "server_tests.rs"]
mod tests;
