//! One start: it asks for the stream, keeps what comes for a while, and leaves.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use crate::address_plan;
use crate::dialogue::{Dialogue, Next, Subscription, Transport, channel_url, split_reply};
use crate::http;
use crate::interleaved::{self, Came, Item, Room};
use crate::stream;
use crate::sys;

use super::capture::{Capture, Carrier};

/// Starts have addresses behind those of other subscribers, and a port of their own.
const FIRST_SUBSCRIBER: usize = 20_000;
const RTP_PORT: u16 = 6000;
/// What a burst brings while others have the core.
const RECEIVE_BUFFER_BYTES: usize = 16 << 20;
/// Between two looks at the clock where nothing comes.
const PATIENCE: Duration = Duration::from_millis(50);
const LONGEST_REPLY: Duration = Duration::from_secs(5);

/// Whom to ask, for what.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub server: SocketAddrV4,
    pub channel: &'a str,
    pub carrier: Carrier,
    /// How long to stay.
    pub stay_ns: u64,
}

/// Starts, stays and leaves.
pub fn start(target: Target<'_>, index: usize) -> Result<Capture> {
    let subscriber = FIRST_SUBSCRIBER + index;
    let connection = stream::plain(target.server, subscriber)?;
    connection.set_nonblocking(false)?;
    connection.set_read_timeout(Some(LONGEST_REPLY))?;
    match target.carrier {
        Carrier::Udp => over_udp(target, subscriber, connection),
        Carrier::Tcp => over_tcp(target, subscriber, connection),
        Carrier::Http => over_http(target, connection),
    }
}

fn over_udp(target: Target<'_>, subscriber: usize, mut connection: TcpStream) -> Result<Capture> {
    let bind = |port| UdpSocket::bind(SocketAddrV4::new(address_plan::subscriber(subscriber), port));
    // The second is bound, so that the relay's RTCP is not answered by ICMP errors, and never read.
    let (rtp, _rtcp) = (bind(RTP_PORT)?, bind(RTP_PORT + 1)?);
    sys::force_receive_buffer(&rtp, RECEIVE_BUFFER_BYTES)?;
    rtp.set_read_timeout(Some(PATIENCE))?;
    let mut dialogue = dialogue(target, subscriber, Transport::Udp);
    let play = until_play(&mut dialogue, &mut connection)?;
    let clock = Clock::start(&mut connection, &play)?;
    let (mut packets, mut room) = (Vec::new(), [0; 2048]);
    while clock.us() * 1000 < target.stay_ns {
        match rtp.recv(&mut room) {
            Ok(count) => packets.push((clock.us(), room[..count].to_vec())),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let reply = read_reply(&mut connection)?;
    must_play(dialogue.answer(&reply))?;
    connection.write_all(dialogue.teardown().as_bytes())?;
    Ok(Capture::of_packets(&packets))
}

fn over_tcp(target: Target<'_>, subscriber: usize, mut connection: TcpStream) -> Result<Capture> {
    let mut dialogue = dialogue(target, subscriber, Transport::Tcp);
    let play = until_play(&mut dialogue, &mut connection)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    let clock = Clock::start(&mut connection, &play)?;
    let (mut packets, mut room, mut rest) = (Vec::new(), Room::new(), Vec::new());
    while clock.us() * 1000 < target.stay_ns {
        let mut bytes = match room.read(&mut connection, &rest)? {
            Came::Bytes(bytes) => bytes,
            Came::Nothing => continue,
            Came::End => return Err(ErrorKind::UnexpectedEof.into()),
        };
        let at_us = clock.us();
        while let Some((item, behind)) = interleaved::split(bytes) {
            bytes = behind;
            match item {
                Item::Packet(packet) => packets.push((at_us, packet.to_vec())),
                Item::Reply(reply) => must_play(dialogue.answer(&String::from_utf8_lossy(reply)))?,
                Item::Other => {}
                Item::Junk => return Err(Error::other("frames out of step")),
            }
        }
        rest = interleaved::rest(bytes);
    }
    connection.write_all(dialogue.teardown().as_bytes())?;
    Ok(Capture::of_packets(&packets))
}

fn over_http(target: Target<'_>, mut connection: TcpStream) -> Result<Capture> {
    connection.set_read_timeout(Some(PATIENCE))?;
    let clock = Clock::start(&mut connection, &http::request(target.server, target.channel))?;
    let (mut capture, mut head, mut room) = (Capture::default(), http::Head::default(), vec![0; 256 << 10]);
    while clock.us() * 1000 < target.stay_ns {
        match connection.read(&mut room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => capture.push(clock.us(), head.skip(&room[..count])?),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(capture)
}

/// Time since the last byte of the request was handed over.
struct Clock {
    zero_ns: u64,
}

impl Clock {
    fn start(connection: &mut TcpStream, request: &str) -> Result<Self> {
        let zero_ns = sys::monotonic_ns();
        connection.write_all(request.as_bytes())?;
        Ok(Self { zero_ns })
    }

    fn us(&self) -> u64 {
        (sys::monotonic_ns() - self.zero_ns) / 1000
    }
}

fn dialogue(target: Target<'_>, subscriber: usize, transport: Transport) -> Dialogue {
    let url = channel_url(target.server, target.channel);
    Dialogue::new(Subscription::new(subscriber, url, transport, RTP_PORT))
}

/// Goes through the dialogue up to PLAY, which is given and not sent.
fn until_play(dialogue: &mut Dialogue, connection: &mut TcpStream) -> Result<String> {
    let mut request = dialogue.begin();
    while !request.starts_with("PLAY ") {
        connection.write_all(request.as_bytes())?;
        request = match dialogue.answer(&read_reply(connection)?) {
            Next::Send(request) => request,
            other => return Err(Error::other(format!("no PLAY: {other:?}"))),
        };
    }
    Ok(request)
}

fn must_play(next: Next) -> Result<()> {
    match next {
        Next::Refused(why, _) => Err(Error::other(why)),
        _ => Ok(()),
    }
}

fn read_reply(connection: &mut TcpStream) -> Result<String> {
    let (mut received, mut room) = (Vec::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut room)?;
        received.extend_from_slice(&room[..count]);
        if let Some((reply, _)) = split_reply(&received) {
            return Ok(String::from_utf8_lossy(reply).into_owned());
        }
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
