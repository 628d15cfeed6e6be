//! Which connections there are, and what each takes along where it is moved to another process.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::ptr;
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaks {
    /// It has said too little.
    Something,
    Rtsp,
    /// Nothing: it hears a stream over HTTP.
    Http,
    /// Nothing: it hears by this half of a tunnel, whose cookie is this.
    TunnelDown(String),
    /// RTSP in base64, by the other half.
    TunnelUp(String),
}

/// What moves of a connection.
pub struct Packed {
    pub parcel: ConnectionParcel,
    pub socket: Arc<TcpStream>,
    /// As whom sessions know it.
    pub home: Option<Arc<Home>>,
}

/// A connection that may be moved.
pub trait Attending: Send + Sync {
    /// What moves of it. `None`: it does not.
    fn pack(&self) -> Option<Packed>;
}

/// Those of one server.
#[derive(Default)]
pub struct Attendance(Mutex<HashMap<usize, Weak<dyn Attending>>>);

impl Attendance {
    /// One has come.
    pub fn add(&self, connection: &Arc<impl Attending + 'static>) {
        let place = Arc::as_ptr(connection).addr();
        lock(&self.0).insert(place, Arc::downgrade(connection) as _);
    }

    /// It has gone, if it was there.
    pub fn remove<T: Attending>(&self, connection: &T) {
        lock(&self.0).remove(&ptr::from_ref(connection).addr());
    }

    /// All that are there.
    pub fn all(&self) -> Vec<Arc<dyn Attending>> {
        lock(&self.0).values().filter_map(Weak::upgrade).collect()
    }
}
