//! The programme on the loopback interface, heard by a plain socket.

use super::*;
use rtp_rs::RtpReader;

/// A socket that has joined one group on the loopback interface.
fn listen(destination: SocketAddrV4) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&destination.into()).unwrap();
    socket.join_multicast_v4(destination.ip(), &Ipv4Addr::LOCALHOST).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.into()
}

/// Groups and ports of the test's own: other programmes may be running.
fn config() -> ProgrammeConfig {
    ProgrammeConfig {
        video: "239.255.67.1:25004".parse().unwrap(),
        audio: "239.255.67.2:25008".parse().unwrap(),
        ..ProgrammeConfig::default()
    }
}

#[test]
fn whole_frames_and_the_tone_reach_a_listener_and_stop_says_goodbye() {
    let config = config();
    let rtcp = SocketAddrV4::new(*config.video.ip(), config.video.port() + 1);
    let (video, audio, reports) = (listen(config.video), listen(config.audio), listen(rtcp));
    let programme = Programme::start(config).unwrap();

    let mut buffer = [0; 2048];
    let mut frame_ends = 0;
    let mut next = None;
    while frame_ends < 2 {
        let len = video.recv(&mut buffer).unwrap();
        assert!(len <= MAX_DATAGRAM_LEN);
        let packet = RtpReader::new(&buffer[..len]).unwrap();
        assert_eq!(packet.payload_type(), 26);
        assert!(next.is_none_or(|next| next == packet.sequence_number()), "a gap in the sequence");
        next = Some(packet.sequence_number().next());
        frame_ends += u32::from(packet.mark());
    }
    let len = audio.recv(&mut buffer).unwrap();
    let packet = RtpReader::new(&buffer[..len]).unwrap();
    assert_eq!((packet.payload_type(), packet.payload().len()), (97, 960));

    let packet_types = |datagram: &[u8]| -> Vec<u8> {
        rtcp_types::Compound::parse(datagram).unwrap().map(|packet| packet_type(&packet.unwrap())).collect()
    };
    let len = reports.recv(&mut buffer).unwrap();
    assert_eq!(packet_types(&buffer[..len]), [200, 202]);
    programme.stop();
    let len = reports.recv(&mut buffer).unwrap();
    assert_eq!(packet_types(&buffer[..len]), [200, 202, 203]);
}

fn packet_type(packet: &rtcp_types::Packet) -> u8 {
    match packet {
        rtcp_types::Packet::Sr(_) => 200,
        rtcp_types::Packet::Sdes(_) => 202,
        rtcp_types::Packet::Bye(_) => 203,
        other => panic!("not expected: {other:?}"),
    }
}

#[test]
fn a_group_that_is_none_and_an_odd_port_are_refused() {
    let refused =
        |config| Programme::start(config).is_err_and(|error| error.kind() == io::ErrorKind::InvalidInput);
    assert!(refused(ProgrammeConfig { video: "192.0.2.1:5004".parse().unwrap(), ..config() }));
    assert!(refused(ProgrammeConfig { audio: "239.255.67.2:5005".parse().unwrap(), ..config() }));
    assert!(refused(ProgrammeConfig { audio: "239.255.67.2:0".parse().unwrap(), ..config() }));
}
