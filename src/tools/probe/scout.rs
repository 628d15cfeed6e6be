//! One DESCRIBE before all others, on a blocking connection: what is wrong for one would be wrong for all, and is
//! said once and at once. It also tells how many tracks each subscriber will set up.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::event::clock;
use crate::wire::rtsp::framing::{self, FROM_SERVERS};
use crate::wire::rtsp::{Incoming, Method, Response};

use super::dialogue::{Dialogue, Outcome};
use super::{Failure, Plan};

/// What the scout found.
#[derive(Debug)]
pub struct Found {
    /// The first of the host's addresses that answered.
    pub server: SocketAddr,
    /// Tracks that each subscriber sets up.
    pub tracks: usize,
    /// Kept open as long as the probe runs: some servers prepare a stream for whoever describes it, and take it
    /// down under those who come next when the first one goes.
    _connection: TcpStream,
}

/// Asks each address in turn, until one accepts the connection.
pub fn scout(plan: &Plan, addresses: &[SocketAddr]) -> Result<Found, Failure> {
    let mut failure = Failure::connect(&io::ErrorKind::NotFound.into());
    for &server in addresses {
        match TcpStream::connect_timeout(&server, plan.setup_timeout) {
            Ok(mut connection) => {
                let tracks = describe(plan, &mut connection)?;
                return Ok(Found { server, tracks, _connection: connection });
            }
            Err(error) => failure = Failure::connect(&error),
        }
    }
    Err(failure)
}

fn describe(plan: &Plan, stream: &mut TcpStream) -> Result<usize, Failure> {
    const DOING: &str = "before answering DESCRIBE";
    let broken = |error: io::Error| Failure::broken(DOING, &error);
    let mut dialogue = Dialogue::new(plan.url.url(), &plan.course);
    stream.set_write_timeout(Some(plan.setup_timeout)).map_err(broken)?;
    stream.write_all(&dialogue.describe()).map_err(broken)?;
    let deadline = clock::monotonic() + plan.setup_timeout;
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        while let Some((message, length)) =
            framing::next(&bytes, &FROM_SERVERS).map_err(|_| Failure::not_rtsp(&bytes))?
        {
            if message == Incoming::Response {
                let response = Response::parse(&bytes[..length]).map_err(|_| Failure::not_rtsp(&bytes))?;
                if let Outcome::Described(offers) = dialogue.answer(&response, plan.tracks)? {
                    return Ok(offers.len());
                }
            }
            bytes.drain(..length);
        }
        let left = deadline.saturating_sub(clock::monotonic());
        if left.is_zero() {
            return Err(Failure::Silence(Method::Describe));
        }
        stream.set_read_timeout(Some(left)).map_err(broken)?;
        match stream.read(&mut part) {
            Ok(0) => return Err(Failure::Closed(DOING)),
            Ok(length) => bytes.extend_from_slice(&part[..length]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(broken(error)),
        }
    }
}
