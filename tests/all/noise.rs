//! Random bytes at every port, while somebody watches.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

use crate::vocabulary::{Crowd, Mirrorball, Over, Setup, Source, Viewer, is_thorough, say};

/// Between two bursts at each port: some thousand datagrams and a hundred connections a second in all.
const BETWEEN_BURSTS: Duration = Duration::from_millis(10);
const DATAGRAMS_PER_BURST: usize = 8;

#[test]
fn random_bytes_at_every_port_disturb_no_subscriber() {
    let source = Source::new();
    let programme = source.programme;
    // Somebody who sends to the group's own ports, where only RTP and RTCP belong.
    let intruder = Source::to(source.group);
    let mirrorball = Setup::new().channel("news", source.group).start();
    let viewers = [Over::Udp, Over::Tcp, Over::Udp, Over::Tcp];
    let viewers = viewers.map(|over| Viewer::playing(&mirrorball, "news", over));
    let server = (viewers[0].server_rtp(), viewers[0].server_rtcp());
    let crowd = Crowd::of(viewers.map(|viewer| (viewer, programme)));
    let beam = source.beam(400);
    let seconds = if is_thorough() { 60 } else { 3 };
    say(&format!("noise: random bytes at every port for {seconds} s"));
    make_noise(Duration::from_secs(seconds), &mirrorball, &intruder, server);

    crowd.expect_all_past(programme, beam.sent() + 100);
    for (place, viewer, tally) in crowd.disband() {
        assert!(tally.is_flawless(), "viewer {place} got {tally:?}");
        viewer.teardown();
    }
    beam.stop();
    assert_eq!(mirrorball.metric("mirrorball_task_panics_total", &[]), 0.0);
    assert!(mirrorball.metric("mirrorball_drops_total", &[("leg", "in")]) > 0.0, "the noise was heard");
    assert!(mirrorball.metric("mirrorball_rtcp_strangers_total", &[]) > 0.0, "the noise was heard");
    assert!(mirrorball.metric("mirrorball_rtsp_requests_total", &[("status", "400")]) > 0.0);
    mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);
    mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
}

fn make_noise(
    duration: Duration,
    mirrorball: &Mirrorball,
    intruder: &Source,
    (server_rtp, server_rtcp): (SocketAddr, SocketAddr),
) {
    let mut noise = Noise(1);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let until = clock::now() + duration;
    while clock::now() < until {
        for _ in 0..DATAGRAMS_PER_BURST {
            // What happens to be RTP would rightly be passed on, so RTP's version never comes up there.
            let mut datagram = noise.bytes(200);
            if let Some(first) = datagram.first_mut().filter(|first| **first >> 6 == 2) {
                *first ^= 0x40;
            }
            intruder.send_bytes(&datagram);
            intruder.send_rtcp(&noise.nearly(&[0x80, 200, 0, 6]));
            drop(stranger.send_to(&noise.bytes(200), server_rtp));
            drop(stranger.send_to(&noise.nearly(&[0x81, 203, 0, 1]), server_rtcp));
        }
        bother(mirrorball.rtsp, &mut noise);
        thread::sleep(BETWEEN_BURSTS);
    }
}

/// Says something to the RTSP port, and now and then waits for what it answers.
fn bother(rtsp: SocketAddr, noise: &mut Noise) {
    let mut stream = TcpStream::connect(rtsp).expect("the program accepts");
    let text = match noise.number() % 5 {
        0 => noise.bytes(3000),
        1 => noise.nearly(b"DESCRIBE rtsp://edge/news RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
        2 => noise
            .nearly(b"SETUP rtsp://edge/news/trackID=1 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP\r\n\r\n"),
        3 => noise.nearly(b"$\x00\x00\x04abcd"),
        _ => noise.nearly(b"GET_PARAMETER * RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 9\r\n\r\n"),
    };
    // The program may have closed before it was all said.
    drop(stream.write_all(&text));
    if noise.number().is_multiple_of(4) {
        drop(stream.set_read_timeout(Some(Duration::from_millis(2))));
        drop(stream.read(&mut [0; 512]));
    }
}

/// The same noise each time: SplitMix64, from its seed.
struct Noise(u64);

impl Noise {
    fn number(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }

    /// Up to that many random bytes.
    fn bytes(&mut self, most: u32) -> Vec<u8> {
        (0..self.number() % (most + 1)).map(|_| self.number() as u8).collect()
    }

    /// Something that makes sense, with random bytes behind it and a few in it changed.
    fn nearly(&mut self, text: &[u8]) -> Vec<u8> {
        let mut bytes = [text, &self.bytes(40)].concat();
        for _ in 0..self.number() % 4 {
            let place = self.number() as usize % bytes.len();
            bytes[place] = self.number() as u8;
        }
        bytes
    }
}
