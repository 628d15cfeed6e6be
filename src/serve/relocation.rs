//! An RtspConnection that is moved to another process: what it takes along, and how it goes on there.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use crate::event::Interest;
use crate::relay::StreamSink;

use super::arrival::Arrival;
use super::attendance::{Attending, ConnectionParcel, Speaks};
use super::rtsp::{Home, Session};
use super::rtsp_connection::RtspConnection;
use super::rtsp_server::RtspServer;
use super::saying::{Says, SpeaksHttp};
use super::stream::{Post, Sink};

impl Attending for RtspConnection {
    /// The halves of a tunnel are two connections, which do not move.
    fn pack(&self) -> Option<(ConnectionParcel, Arc<TcpStream>, Arc<Home>)> {
        let state = self.state();
        if self.closed.load(Relaxed) {
            return None;
        }
        let (speaks, (heard, unwanted)) = match &state.says {
            Says::Something(first) => (Speaks::Something, (first.clone(), 0)),
            Says::Rtsp => (Speaks::Rtsp, state.conversation.rest()?),
            Says::Nothing(_) => return None,
        };
        let (unsent, socket) = self.output.unsent()?;
        let parcel = ConnectionParcel { client: self.peer, speaks, heard, unwanted, unsent };
        Some((parcel, socket, self.home.clone()))
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
        let is_rtsp = parcel.speaks == Speaks::Rtsp;
        let says = if is_rtsp { Says::Rtsp } else { Says::Something(parcel.heard.clone()) };
        let connection = Self::prepare(server, arrival, says, Some(http))?;
        if is_rtsp {
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
