//! An RtspConnection that is moved to another process: what it takes along, and how it goes on there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use crate::event::Interest;
use crate::relay::StreamSink;

use super::arrival::Arrival;
use super::attendance::{Attending, ConnectionParcel, Packed, Speaks};
use super::rtsp::Session;
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::saying::{Half, Says, SpeaksHttp};
use super::stream::{Post, Sink};

impl Attending for RtspConnection {
    fn pack(&self) -> Option<Packed> {
        let state = self.state();
        if self.closed.load(Relaxed) {
            return None;
        }
        let (speaks, (heard, unwanted)) = match &state.says {
            Says::Something(first) => (Speaks::Something, (first.clone(), 0)),
            Says::Rtsp => (Speaks::Rtsp, state.conversation.rest()?),
            Says::Nothing(half) => (Speaks::TunnelDown(half.cookie.clone()), state.conversation.rest()?),
        };
        let (unsent, socket) = self.output.unsent()?;
        let parcel = ConnectionParcel { client: self.peer, speaks, heard, unwanted, unsent };
        Some(Packed { parcel, socket, home: Some(self.home.clone()) })
    }
}

impl RtspConnection {
    /// Takes a client on that was served elsewhere. Nothing is heard of it before it [is heard](Self::be_heard).
    pub fn moved(
        server: Arc<RtspServer>,
        arrival: Arrival,
        parcel: &ConnectionParcel,
        http: Arc<dyn SpeaksHttp>,
    ) -> io::Result<Arc<Self>> {
        let says = match parcel.speaks {
            Speaks::Rtsp => Says::Rtsp,
            _ => Says::Something(parcel.heard.clone()),
        };
        Self::settled(Self::prepare(server, arrival, says, Some(http))?, parcel)
    }

    /// The same, of which the client speaks by another half.
    pub fn moved_half(
        server: Arc<RtspServer>,
        arrival: Arrival,
        parcel: &ConnectionParcel,
        half: Half,
    ) -> io::Result<Arc<Self>> {
        Self::settled(Self::prepare(server, arrival, Says::Nothing(half), None)?, parcel)
    }

    fn settled(connection: Arc<Self>, parcel: &ConnectionParcel) -> io::Result<Arc<Self>> {
        if parcel.speaks != Speaks::Something {
            connection.state().conversation.go_on_with(&parcel.heard, parcel.unwanted);
        }
        if !parcel.unsent.is_empty() {
            connection.output.post(Post::Bytes(Bytes::copy_from_slice(&parcel.unsent)));
        }
        Ok(connection)
    }

    /// A session belongs here that did where the connection was before.
    pub fn adopt(&self, session: &Arc<Session>) {
        self.state().conversation.adopt(session.clone());
    }

    /// Hears and answers the client from now on, first what it has said before.
    pub fn be_heard(self: &Arc<Self>) -> io::Result<()> {
        Sink(self.output.clone()).pump(None);
        self.begin(Interest::Write)
    }
}
