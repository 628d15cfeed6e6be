//! Which connections there are, and what each takes along where it is moved to another process.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, Weak};

use serde::{Deserialize, Serialize};

use crate::event::lock;

use super::rtsp::Home;

/// A client's connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectionParcel {
    pub client: SocketAddr,
    pub speaks: Speaks,
    /// What has come of what is not whole.
    pub heard: Vec<u8>,
    /// Bytes to come that nobody wants.
    pub unwanted: usize,
    /// What is still to go out, and before anything else.
    pub unsent: Vec<u8>,
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaks {
    /// It has said too little.
    Something,
    Rtsp,
    /// Nothing: it hears a stream over HTTP.
    Http,
}

/// A connection that may be moved.
pub trait Attending: Send + Sync {
    /// What moves of it, its socket, and as whom sessions know it. `None`: it does not move.
    fn pack(&self) -> Option<(ConnectionParcel, Arc<TcpStream>, Arc<Home>)>;
}

/// Those of one server, by what sessions know them as.
#[derive(Default)]
pub struct Attendance(Mutex<HashMap<usize, Weak<dyn Attending>>>);

impl Attendance {
    /// One has come.
    pub fn add(&self, home: &Arc<Home>, connection: &Arc<impl Attending + 'static>) {
        let connection = Arc::downgrade(connection);
        lock(&self.0).insert(key(home), connection);
    }

    /// It has gone, if it was there.
    pub fn remove(&self, home: &Arc<Home>) {
        lock(&self.0).remove(&key(home));
    }

    /// All that are there.
    pub fn all(&self) -> Vec<Arc<dyn Attending>> {
        lock(&self.0).values().filter_map(Weak::upgrade).collect()
    }
}

/// Two that are there at a time have different ones.
pub(super) fn key(home: &Arc<Home>) -> usize {
    Arc::as_ptr(home).addr()
}
