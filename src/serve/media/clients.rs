//! Whose the addresses are that a pair serves.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::event::lock;

use super::super::stats::Port;
use super::latches::{Hint, Latches, Learning};
use super::taker::{Client, Learnt};

/// Who is served by a pair, by either address, and who of them is looked for at others.
///
/// Reservations end with their last packet, on a thread of media. That one must not wait for the table, which a thread
/// of control may hold while it is kept from running: it leaves word, and whoever takes the table next obeys.
pub struct Clients {
    learning: Learning,
    table: Mutex<Table>,
    ended: Sender<Over>,
    to_free: Receiver<Over>,
}

#[derive(Default)]
pub struct Table {
    takers: HashMap<SocketAddr, Client>,
    latches: Latches,
}

/// What is over.
enum Over {
    Spot(SocketAddr),
    Search(IpAddr, u64),
}

/// A client's place at a pair; nobody else's until it is dropped.
pub struct Spot {
    pub at: SocketAddr,
    clients: Arc<Clients>,
}

/// A client is looked for, or is one of a crowd that can not be; until it is dropped.
pub struct Search {
    pub number: u64,
    pub is_of_crowd: bool,
    address: IpAddr,
    clients: Arc<Clients>,
}

/// Whom a datagram is from.
pub enum Voice {
    Known(Client),
    /// One who is reached there, as is known from here on.
    Learnt(Learnt),
    /// Maybe one who is looked for.
    Unsure,
    Stranger,
}

impl Clients {
    pub fn new(learning: Learning) -> Arc<Self> {
        let (ended, to_free) = unbounded();
        Arc::new(Self { learning, table: Mutex::default(), ended, to_free })
    }

    pub fn is_empty(&self) -> bool {
        self.table().takers.is_empty()
    }

    /// Whose address this is.
    pub fn find(&self, address: SocketAddr) -> Option<Client> {
        self.table().takers.get(&address).cloned()
    }

    /// Takes both places for a client. `None`: they are not free.
    pub fn reserve(self: &Arc<Self>, places: [SocketAddr; 2], owner: &Client) -> Option<[Arc<Spot>; 2]> {
        let mut table = self.table();
        self.take(&mut table, places, owner)
    }

    /// The same, for one who is looked for from here on. `None`: they are not free, or another one of its address is.
    pub fn reserve_and_search(
        self: &Arc<Self>,
        places: [SocketAddr; 2],
        owner: &Client,
    ) -> Option<([Arc<Spot>; 2], Search)> {
        let mut table = self.table();
        if places.iter().any(|place| table.takers.contains_key(place)) {
            return None;
        }
        let number = table.latches.begin(owner, places)?;
        let search = self.search(places[0].ip(), number, false);
        Some((self.take(&mut table, places, owner)?, search))
    }

    /// The same, for one who can not be looked for, where there is a crowd already or `may_begin` one.
    pub fn reserve_in_crowd(
        self: &Arc<Self>,
        places: [SocketAddr; 2],
        owner: &Client,
        may_begin: bool,
    ) -> Option<([Arc<Spot>; 2], Search)> {
        let (mut table, address) = (self.table(), places[0].ip());
        if !may_begin && !table.latches.is_crowd(address) {
            return None;
        }
        let taken = self.take(&mut table, places, owner)?;
        Some((taken, self.search(address, table.latches.crowd(address), true)))
    }

    /// Takes the place at which a client has turned out to be. `None`: it is somebody's.
    pub fn follow(self: &Arc<Self>, learnt: &Learnt) -> Option<Arc<Spot>> {
        let mut table = self.table();
        self.take(&mut table, [learnt.at; 2], &learnt.client).map(|[place, _]| place)
    }

    /// Whom something is from that has come to a port of ours, which may tell where a client is if it `teaches` that.
    pub fn hear(&self, port: Port, from: SocketAddr, teaches: bool, now: Instant) -> Voice {
        let mut table = self.table();
        let known = table.takers.get(&from).cloned();
        let hint = match teaches {
            true => table.latches.hear((port, from), known.is_some(), self.learning, now),
            false => Hint::Nothing,
        };
        match (hint, known) {
            (Hint::Learnt(learnt), _) => Voice::Learnt(learnt),
            (_, Some(client)) => Voice::Known(client),
            (Hint::Maybe, None) => Voice::Unsure,
            (Hint::Nothing, None) => Voice::Stranger,
        }
    }

    /// Where clients are, as is known by now.
    pub fn due(&self, now: Instant) -> Vec<Learnt> {
        self.table().latches.due(self.learning, now)
    }

    /// Whether somebody is looked for by what comes to our RTP port.
    pub fn want_rtp(&self) -> bool {
        self.table().latches.want_rtp()
    }

    pub fn table(&self) -> MutexGuard<'_, Table> {
        let mut table = lock(&self.table);
        self.to_free.try_iter().for_each(|over| match over {
            Over::Spot(place) => drop(table.takers.remove(&place)),
            Over::Search(address, number) => table.latches.end(address, number),
        });
        table
    }

    fn take(
        self: &Arc<Self>,
        table: &mut Table,
        [rtp, rtcp]: [SocketAddr; 2],
        owner: &Client,
    ) -> Option<[Arc<Spot>; 2]> {
        if table.takers.contains_key(&rtp) || table.takers.contains_key(&rtcp) {
            return None;
        }
        let mut take = |at| {
            table.takers.insert(at, owner.clone());
            Arc::new(Spot { at, clients: self.clone() })
        };
        let first = take(rtp);
        let second = if rtp == rtcp { first.clone() } else { take(rtcp) };
        Some([first, second])
    }

    fn search(self: &Arc<Self>, address: IpAddr, number: u64, is_of_crowd: bool) -> Search {
        Search { number, is_of_crowd, address, clients: self.clone() }
    }
}

/// Waits for nobody.
impl Drop for Spot {
    fn drop(&mut self) {
        let _ = self.clients.ended.send(Over::Spot(self.at)); // heard for as long as the table lives
    }
}

/// Waits for nobody.
impl Drop for Search {
    fn drop(&mut self) {
        let _ = self.clients.ended.send(Over::Search(self.address, self.number));
    }
}
