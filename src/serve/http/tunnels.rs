//! RTSP over HTTP, as QuickTime had it: a GET by whose reply we speak, a POST by whose body the client does, joined by the cookie
//! that both name.
//!
//! ```text
//!  GET  ─▶ HttpConnection ─▶ RtspConnection ◀── conversation ── hear ──┐
//!  POST ─▶ HttpConnection ─▶ PostHalf ── base64 ───────────────────────┘
//! ```
//!
//! They come in either order, and one POST may follow another. Cookies are the clients' own, and may be guessed: so only halves of one
//! address are joined, and of one secrecy.

use std::collections::HashMap;
use std::future::ready;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use hyper::Method;
use hyper::header::TRANSFER_ENCODING;

use crate::event::{clock, lock};
use crate::relay::StreamSink;
use crate::wire::http::tunnel_begins;

use super::super::access::{Good, counted_as};
use super::super::arrival::Arrival;
use super::super::attendance::ConnectionParcel;
use super::super::rtsp_connection::RtspConnection;
use super::super::rtsp_server::RtspServer;
use super::super::saying::{Half, Says};
use super::super::stream::{Post, Sink};
use super::post_half::{Forget, PostHalf};
use super::refusal::Refusal;
use super::request::{Answer, Answering, HttpService, Request, Rest};

/// The longest cookie that joins two halves. QuickTime's have 22 bytes.
const COOKIE_BYTES: usize = 128;

const NOT_SERVED: &str = "RTSP is served here. Over HTTP it takes a GET and a POST with one x-sessioncookie; there is nothing else.";

/// All tunnels, and the halves that wait for their other one.
pub struct Tunnels {
    server: Arc<RtspServer>,
    table: Arc<Table>,
}

/// The halves of each tunnel. One that holds none is not there, so the limits on connections bound it.
#[derive(Default)]
struct Table(Mutex<HashMap<Name, Halves>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    address: IpAddr,
    is_secret: bool,
    cookie: String,
}

#[derive(Default)]
struct Halves {
    /// By which we speak: taken, and there.
    is_taken: bool,
    down: Weak<RtspConnection>,
    /// By which the client does, while it waits.
    up: Weak<PostHalf>,
}

/// The name of a tunnel by which we speak, until this goes.
struct Taken {
    table: Arc<Table>,
    name: Name,
}

impl Tunnels {
    pub fn new(server: Arc<RtspServer>) -> Self {
        Self { server, table: Arc::default() }
    }

    /// Has a client of a tunnel led on to what is to become of its half.
    fn join(self: Arc<Self>, request: &Request) -> Result<Answer, Refusal> {
        let (client, method) = (&request.client, &request.head.method);
        if !matches!(*method, Method::GET | Method::POST) {
            return Err(Refusal::no_method("GET and POST are served here, for RTSP.", "GET, POST"));
        }
        let cookie = request.cookie().ok_or(Refusal::of(404, NOT_SERVED))?;
        if cookie.len() > COOKIE_BYTES {
            return Err(Refusal::of(431, "The x-sessioncookie is too long."));
        }
        let (address, is_secret) = (counted_as(client.peer.ip()), client.stream.is_secret());
        let name = Name { address, is_secret, cookie: cookie.to_owned() };
        if *method == Method::GET {
            let taken = self.table.take(&name);
            let taken = taken.ok_or(Refusal::of(409, "There is a tunnel with this x-sessioncookie."))?;
            return Ok(Answer::LeadOn(Box::new(move |arrival, _| self.speak(taken, arrival))));
        }
        if request.head.headers.contains_key(TRANSFER_ENCODING) {
            let coded = "A tunnel's body comes as it is, without Transfer-Encoding.";
            return Err(Refusal::of(411, coded));
        }
        Ok(Answer::LeadOn(Box::new(move |arrival, rest| self.listen(name, arrival, rest))))
    }

    fn speak(&self, taken: Taken, arrival: Arrival) {
        let (peer, name) = (arrival.peer, taken.name.clone());
        let cookie = name.cookie.clone();
        let half = Half { other: None, was_whole: false, cookie, _name: Box::new(taken) };
        match RtspConnection::open(self.server.clone(), arrival, Says::Nothing(half), None) {
            Ok(connection) => {
                connection.output.post(Post::Bytes(Bytes::from(tunnel_begins(clock::unix_now()))));
                Sink(connection.output.clone()).pump(None);
                while let Some(up) = self.table.next_up(&name, &connection) {
                    up.join(&connection);
                }
            }
            Err(error) => tracing::debug!(%peer, %error, "a tunnel could not be served"),
        }
    }

    fn listen(&self, name: Name, arrival: Arrival, rest: Rest) {
        let (peer, forget) = (arrival.peer, self.table.forgetting(name.clone()));
        match PostHalf::open(&self.server, arrival, rest, name.cookie.clone(), forget) {
            Ok(up) => {
                if let Some(down) = self.table.wait_up(name, &up) {
                    up.join(&down);
                }
            }
            Err(error) => tracing::debug!(%peer, %error, "a tunnel could not be served"),
        }
    }
}

/// Tunnels that come from another process.
impl Tunnels {
    /// Takes on the half by which a client hears.
    pub fn move_down(
        &self,
        cookie: &str,
        arrival: Arrival,
        parcel: &ConnectionParcel,
    ) -> io::Result<Arc<RtspConnection>> {
        let name = self.name(cookie, &arrival);
        let taken = self.table.take(&name).ok_or(io::ErrorKind::AlreadyExists)?;
        let half = Half { other: None, was_whole: true, cookie: cookie.to_owned(), _name: Box::new(taken) };
        let down = RtspConnection::moved_half(self.server.clone(), arrival, parcel, half)?;
        self.table.next_up(&name, &down); // nobody waits yet, and who comes finds it
        Ok(down)
    }

    /// Takes on the half by which it speaks, and has it heard once the other one is.
    pub fn move_up(
        &self,
        cookie: &str,
        arrival: Arrival,
        parcel: &ConnectionParcel,
    ) -> io::Result<Box<dyn FnOnce()>> {
        let name = self.name(cookie, &arrival);
        let bytes = parcel.heard.clone();
        let share = arrival.account.take(Good::UnreadBytes, bytes.len() as u64);
        let share = share.map_err(|_| io::Error::other("too much is unread"))?;
        let forget = self.table.forgetting(name.clone());
        let up = PostHalf::open(&self.server, arrival, Rest { bytes, share }, cookie.to_owned(), forget)?;
        let table = self.table.clone();
        Ok(Box::new(move || table.wait_up(name, &up).into_iter().for_each(|down| up.join(&down))))
    }

    fn name(&self, cookie: &str, arrival: &Arrival) -> Name {
        let (address, is_secret) = (counted_as(arrival.peer.ip()), arrival.stream.is_secret());
        Name { address, is_secret, cookie: cookie.to_owned() }
    }
}

impl HttpService for Tunnels {
    fn serve(self: Arc<Self>, request: Request) -> Answering {
        let answer = self.join(&request).unwrap_or_else(|refusal| refusal.answer(&request));
        Box::pin(ready(answer))
    }
}

impl Table {
    /// Takes a name to speak by. `None`: somebody has it.
    fn take(self: &Arc<Self>, name: &Name) -> Option<Taken> {
        let mut table = self.all();
        let halves = table.entry(name.clone()).or_default();
        let is_free = !std::mem::replace(&mut halves.is_taken, true);
        is_free.then(|| Taken { table: self.clone(), name: name.clone() })
    }

    /// The half by which we speak is there. Returns the other one, if that waits; if none does, who comes from now on finds
    /// this one. So who comes meanwhile follows those who waited.
    fn next_up(&self, name: &Name, down: &Arc<RtspConnection>) -> Option<Arc<PostHalf>> {
        let mut table = self.all();
        let halves = table.get_mut(name)?; // or it has ended meanwhile
        let up = std::mem::take(&mut halves.up).upgrade();
        if up.is_none() {
            halves.down = Arc::downgrade(down);
        }
        up
    }

    /// A half by which the client speaks is there. Returns the other one, or has it wait for that.
    fn wait_up(&self, name: Name, up: &Arc<PostHalf>) -> Option<Arc<RtspConnection>> {
        let mut table = self.all();
        let halves = table.entry(name).or_default();
        let down = halves.down.upgrade();
        if down.is_none() {
            halves.up = Arc::downgrade(up); // one that waited before runs out of time
        }
        down
    }

    /// What is to be done when a half by which the client speaks has ended.
    fn forgetting(self: &Arc<Self>, name: Name) -> Forget {
        let table = Arc::downgrade(self);
        Box::new(move |half| {
            let Some(table) = table.upgrade() else { return };
            table.change(&name, |halves| {
                if halves.up.as_ptr() == half {
                    halves.up = Weak::new();
                }
            });
        })
    }

    /// Changes what there is of a name. What is of no use then is forgotten.
    fn change(&self, name: &Name, change: impl FnOnce(&mut Halves)) {
        let mut table = self.all();
        let Some(halves) = table.get_mut(name) else { return };
        change(halves);
        if !halves.is_taken && halves.up.strong_count() == 0 {
            table.remove(name);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Name, Halves>> {
        lock(&self.0)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.table.change(&self.name, |halves| (halves.is_taken, halves.down) = (false, Weak::new()));
    }
}
