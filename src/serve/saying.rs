//! What comes by a connection where RTSP is served, and who is led on for it.

use std::io;
use std::sync::Arc;

use super::arrival::Arrival;

/// What it is that comes by the connection.
pub(super) enum Says {
    /// That is not known by these first bytes.
    Something(Vec<u8>),
    Rtsp,
    /// Nothing: the client says what it says by the other half of a tunnel.
    Nothing(Half),
}

/// Of a tunnel, the half by which we speak.
pub(super) struct Half {
    /// The half by which the client does, while there is one.
    pub other: Option<Arc<dyn OtherHalf>>,
    pub was_whole: bool,
    /// What the client calls the tunnel by.
    pub cookie: String,
    /// Gives the tunnel's name back as it goes.
    pub _name: Box<dyn Send>,
}

/// Of a tunnel, the half by which the client speaks.
pub(super) trait OtherHalf: Send + Sync {
    /// Whether something has come by it that waits for its turn, or for a worker.
    fn waits(&self) -> bool;

    /// Says the rest of what has come, and ends: another one follows.
    fn finish(&self);

    /// Ends with the tunnel, whose state is locked.
    fn close(&self);
}

/// Who takes on a client that turns out to speak HTTP; `bytes` are what it has said.
pub(super) trait SpeaksHttp: Send + Sync {
    fn take_on(&self, arrival: Arrival, bytes: Vec<u8>) -> io::Result<()>;
}
