//! The built-in source: a thread that multicasts the test programme on one interface until it is stopped.
//! It is a source like any other; it does not know that a reflector runs in the same process.

use super::description::{AUDIO_PAYLOAD_TYPE, describe};
use super::groups::ProgrammeConfig;
use super::jpeg_rtp::{self, JpegFrame, JpegPayload};
use super::pacer::{AUDIO_PERIOD, Due, FRAME_PERIOD, Pacer, start};
use super::picture::{FRAME_RATE, Moment, Painter};
use super::tone::{SAMPLE_RATE, sample};
use super::track::{MAX_DATAGRAM_LEN, RTP_HEADER_LEN, RtpTrack, random};
use crate::event::clock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jpeg_encoder::{ChromaSubsamplingMethod, Encoder, SamplingFactor};
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// JPEG quality: about 30 KB a frame.
const QUALITY: u8 = 80;
/// Samples in one audio packet.
const AUDIO_SAMPLES: u64 = SAMPLE_RATE * AUDIO_PERIOD.as_millis() as u64 / 1000;

/// A running programme; dropping it stops it.
pub struct Programme {
    sdp: String,
    /// Dropped to stop the thread.
    alive: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Programme {
    /// Opens the socket and starts the thread. Nothing ever leaves the host: the TTL is 0.
    ///
    /// # Errors
    /// `InvalidInput` when a group is not multicast or a port is odd or 0; else what the system says about the
    /// socket, the interface or the thread.
    pub fn start(config: ProgrammeConfig) -> io::Result<Self> {
        check(&config)?;
        let socket = open(config.interface)?;
        let sdp = describe(&config, random() as u32)?;
        let (alive, stopped) = bounded(0);
        let mut studio = Studio::new(&config, socket);
        let thread =
            thread::Builder::new().name("demo-programme".into()).spawn(move || studio.run(&stopped))?;
        Ok(Self { sdp, alive: Some(alive), thread: Some(thread) })
    }

    /// The description of the programme as it is multicast (RFC 8866).
    pub fn sdp(&self) -> String {
        self.sdp.clone()
    }

    /// Says goodbye (RTCP BYE) on both tracks and waits for the thread: at most the painting of one frame.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Programme {
    fn drop(&mut self) {
        self.alive = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the demo programme's thread panicked");
        }
    }
}

fn check(config: &ProgrammeConfig) -> io::Result<()> {
    for destination in [config.video, config.audio] {
        let port = destination.port();
        if !destination.ip().is_multicast() || port == 0 || port % 2 == 1 {
            let problem = format!("{destination}: the programme needs a multicast group and an even port");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
    }
    Ok(())
}

/// Bound to the interface, so that the source address is right on a machine without any route.
fn open(interface: Ipv4Addr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_if_v4(&interface)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(0)?;
    socket.bind(&SocketAddrV4::new(interface, 0).into())?;
    Ok(socket.into())
}

/// The thread's own: painter, tracks and socket.
struct Studio {
    painter: Painter,
    jpeg: Vec<u8>,
    frame: VecDeque<JpegPayload>,
    /// Media time of the frame being sent.
    frame_time: Duration,
    video: RtpTrack,
    audio: RtpTrack,
    outlet: Outlet,
    config: ProgrammeConfig,
    cname: String,
    origin: Origin,
}

/// The moment of the first frame on both clocks.
struct Origin {
    instant: Instant,
    frame_utc: u64,
}

impl Studio {
    fn new(config: &ProgrammeConfig, socket: UdpSocket) -> Self {
        Self {
            painter: Painter::prepare(),
            jpeg: Vec::new(),
            frame: VecDeque::new(),
            frame_time: Duration::ZERO,
            video: RtpTrack::new(jpeg_rtp::PAYLOAD_TYPE, 90_000),
            audio: RtpTrack::new(AUDIO_PAYLOAD_TYPE, SAMPLE_RATE as u32),
            outlet: Outlet { socket, has_failed: Cell::new(false) },
            config: config.clone(),
            cname: format!("{:016x}", random()), // short-term and random, as RFC 7022 advises
            origin: Origin::next_frame(),
        }
    }

    /// Does what is due, then sleeps until more is, until the other end of `stopped` is dropped.
    fn run(&mut self, stopped: &Receiver<()>) {
        let mut pacer = Pacer::default();
        loop {
            while let Some(due) = pacer.due(self.now()) {
                self.act(due, &mut pacer);
            }
            let deadline = self.origin.instant + pacer.deadline();
            if stopped.recv_deadline(deadline) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        self.report(true);
    }

    fn act(&mut self, due: Due, pacer: &mut Pacer) {
        match due {
            Due::Report => self.report(false),
            Due::Audio(packet) => self.send_audio(packet),
            Due::Packet => self.send_video(),
            Due::Paint(frame) => {
                self.paint(frame);
                pacer.frame_ready(frame, self.frame.len() as u32, self.now());
            }
        }
    }

    /// Time since the first frame.
    fn now(&self) -> Duration {
        self.origin.instant.elapsed()
    }

    fn paint(&mut self, frame: u64) {
        let canvas = self.painter.paint(Moment { frame_utc: self.origin.frame_utc + frame, frame });
        self.jpeg.clear();
        let mut encoder = Encoder::new(&mut self.jpeg, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
        let encoded = encoder.encode_image(canvas).map_err(|error| error.to_string());
        let parsed = encoded.and_then(|()| JpegFrame::parse(&self.jpeg).map_err(|error| error.to_string()));
        self.frame.clear();
        match parsed {
            Ok(frame) => self.frame.extend(frame.payloads(MAX_DATAGRAM_LEN - RTP_HEADER_LEN)),
            Err(error) => self.outlet.tell_once(&error),
        }
        self.frame_time = start(frame, FRAME_PERIOD);
    }

    fn send_video(&mut self) {
        if let Some(payload) = self.frame.pop_front() {
            let (video, media_time) = (&mut self.video, self.frame_time);
            self.outlet.send(self.config.video, |datagram| {
                video.packet(media_time, payload.last, &payload.bytes, datagram)
            });
        }
    }

    fn send_audio(&mut self, packet: u64) {
        let first = self.origin.frame_utc * (SAMPLE_RATE / FRAME_RATE) + packet * AUDIO_SAMPLES;
        let payload: Vec<u8> = (first..first + AUDIO_SAMPLES).flat_map(|n| sample(n).to_be_bytes()).collect();
        let (audio, media_time) = (&mut self.audio, start(packet, AUDIO_PERIOD));
        self.outlet.send(self.config.audio, |datagram| audio.packet(media_time, false, &payload, datagram));
    }

    fn report(&mut self, ends: bool) {
        let media_time = self.now();
        let unix_time = self.origin.unix_time() + media_time;
        for (track, destination) in [(&self.video, self.config.video), (&self.audio, self.config.audio)] {
            let rtcp = SocketAddrV4::new(*destination.ip(), destination.port() + 1); // even, so below 65535
            self.outlet
                .send(rtcp, |datagram| track.report(unix_time, media_time, &self.cname, ends, datagram));
        }
    }
}

impl Origin {
    /// The next whole frame of the wall clock that is still to come.
    fn next_frame() -> Self {
        let (instant, unix_time) = (clock::now(), clock::unix_now());
        let origin = Self { instant, frame_utc: (unix_time.as_nanos() / FRAME_PERIOD.as_nanos()) as u64 + 1 };
        let wait = origin.unix_time() - unix_time;
        Self { instant: instant + wait, ..origin }
    }

    fn unix_time(&self) -> Duration {
        Duration::from_millis(self.frame_utc * FRAME_PERIOD.as_millis() as u64)
    }
}

/// The socket, and whether it has failed to send.
struct Outlet {
    socket: UdpSocket,
    has_failed: Cell<bool>,
}

impl Outlet {
    /// Sends what `build` writes; an error costs this datagram alone.
    fn send(&self, to: SocketAddrV4, build: impl FnOnce(&mut [u8]) -> io::Result<usize>) {
        let mut datagram = [0; MAX_DATAGRAM_LEN];
        let sent = build(&mut datagram).and_then(|len| self.socket.send_to(&datagram[..len], to));
        if let Err(error) = sent {
            self.tell_once(&error);
        }
    }

    fn tell_once(&self, error: &dyn std::fmt::Display) {
        if !self.has_failed.replace(true) {
            tracing::warn!("the demo programme could not send, which is told once: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
