//! Viewers are sent on to another server before this one stops (RFC 2326, 10.10: REDIRECT).

use std::sync::Arc;

use bytes::Bytes;

use crate::relay::{StreamSink, Track};

use super::media::Grant;
use super::rtsp::Session;
use super::rtsp_server::{RtspServer, ServerConfig};
use super::stream::{Post, Sink};

/// Our own requests, of which a connection sees one for each of its sessions.
const FIRST_CSEQ: u32 = 1;

impl RtspServer {
    /// Tells everybody who came by RTSP where to go on, where the config names another server; returns how many.
    pub fn send_on(&self) -> usize {
        let config = self.config();
        let sessions = self.sessions.all();
        sessions.iter().filter_map(|session| send_on(session, &config)).count()
    }
}

fn send_on(session: &Session, config: &ServerConfig) -> Option<()> {
    let is_over_http = |track: &Arc<Track>| session.granted(track.number) == Some(Grant::Http);
    let output =
        session.home()?.output.clone().filter(|_| !session.channel.tracks.iter().any(is_over_http))?;
    let other = config.other_server(output.is_secret())?;
    let uri = format!("rtsp://{}/{}", output.local()?, session.channel.name);
    let location = other.location(&uri, output.local()?)?;
    output.post(Post::Bytes(Bytes::from(redirect(&uri, &session.id, &location))));
    Sink(output).pump(None);
    Some(())
}

/// Without a Range it holds at once.
fn redirect(uri: &str, session: &str, location: &str) -> String {
    format!(
        "REDIRECT {uri} RTSP/1.0\r\nCSeq: {FIRST_CSEQ}\r\nSession: {session}\r\nLocation: {location}\r\n\r\n"
    )
}
