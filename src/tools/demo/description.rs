//! The programme's session description (RFC 8866): what a receiver of the two groups must know.
//! It describes the multicast source; what subscribers of the reflector are told is not known here.

use super::groups::ProgrammeConfig;
use super::jpeg_rtp;
use super::pacer::AUDIO_PERIOD;
use super::picture::FRAME_RATE;
use super::tone::SAMPLE_RATE;
use sdp_types::{Connection, Media, MediaType, Origin, Session, Time, TransportProto};
use std::io;
use std::net::{IpAddr, SocketAddrV4};

/// The dynamic payload type of the audio track.
pub const AUDIO_PAYLOAD_TYPE: u8 = 97;
/// The programme is sent with a TTL of 0; descriptions say 1, the least that every parser takes.
const DESCRIBED_TTL: u8 = 1;

/// The description, with CRLF line ends.
pub fn describe(config: &ProgrammeConfig, session_id: u32) -> io::Result<String> {
    let origin = Origin::with_ip_addr(session_id, 1, IpAddr::V4(config.interface));
    let video = track(MediaType::Video, config.video, jpeg_rtp::PAYLOAD_TYPE)
        .attribute_with_value("rtpmap", format!("{} JPEG/90000", jpeg_rtp::PAYLOAD_TYPE))
        .attribute_with_value("framerate", FRAME_RATE)
        .build();
    let audio = track(MediaType::Audio, config.audio, AUDIO_PAYLOAD_TYPE)
        .attribute_with_value("rtpmap", format!("{AUDIO_PAYLOAD_TYPE} L16/{SAMPLE_RATE}/1"))
        .attribute_with_value("ptime", AUDIO_PERIOD.as_millis())
        .build();
    let session = Session::builder(origin, "Mirrorball demo")
        .session_description("A mirror ball, a running clock and a tone")
        .time(Time::new(0, 0))
        .attribute_from_str("recvonly")
        .media(video)
        .media(audio)
        .build();
    let mut text = Vec::new();
    session.write(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

fn track(kind: MediaType, destination: SocketAddrV4, payload_type: u8) -> sdp_types::builders::Media {
    let group = Connection::from_ip_addr_ttl(IpAddr::V4(*destination.ip()), Some(DESCRIBED_TTL));
    Media::builder(kind, destination.port(), TransportProto::RtpAvp, payload_type).connection(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_both_groups_and_their_formats() {
        let text = describe(&ProgrammeConfig::default(), 7).unwrap();
        let session = Session::parse(text.as_bytes()).unwrap();
        let [video, audio] = &session.medias[..] else { panic!("two tracks expected: {text}") };
        assert_eq!((&*video.media, video.port, &*video.fmt), ("video", 15004, "26"));
        assert_eq!((&*audio.media, audio.port, &*audio.fmt), ("audio", 15008, "97"));
        assert!(text.starts_with("v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=Mirrorball demo\r\n"), "{text}");
        for line in [
            "c=IN IP4 239.255.66.1/1",
            "c=IN IP4 239.255.66.2/1",
            "a=rtpmap:26 JPEG/90000",
            "a=framerate:25",
            "a=rtpmap:97 L16/48000/1",
            "a=ptime:10",
        ] {
            assert!(text.contains(&format!("{line}\r\n")), "{line} is missing in {text}");
        }
    }
}
