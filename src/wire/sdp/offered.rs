//! What a server's description offers to a client: the tracks that can be set up, and what they are (RFC 2326
//! appendix C.1).
//!
//! It asks less of a description than `parse` does: addresses and ports in it mean nothing to an RTSP client. Where the
//! controls lead is for the one to say who knows what they are relative to.

use sdp_types::{Attribute, Session};

use super::lines::Lines;
use super::mend::mend;
use super::parse::MAX_TRACKS;
use super::presentation::{Presentation, TrackDescription};
use super::track::{self, Reader};

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its RTP tracks, at least one.
    pub presentation: Presentation,
    /// The control of the whole, for PLAY and TEARDOWN, where there is one.
    pub aggregate: Option<String>,
    /// The control of each track, where there is one.
    pub controls: Vec<Option<String>>,
}

/// Reads a server's description. Media that are not RTP, or encrypted, or what is sent again of others (RFC 4588), are passed over.
///
/// # Errors
/// When it cannot be read, or offers no RTP.
pub fn offered(description: &[u8]) -> Result<Offered, String> {
    let lines = mend(Lines::of(description)).ok_or("it is no session description")?;
    let mut session = Session::parse(lines.to_text().as_bytes()).map_err(|error| error.to_string())?;
    let (mut tracks, mut media) = (Vec::new(), Vec::new());
    for (index, medium) in session.medias.iter().enumerate() {
        let reader = Reader { session: &session, medium, lines: lines.medium(index) };
        let is_sent_again = |track: &TrackDescription| {
            track.encoding.as_deref().is_some_and(|encoding| encoding.eq_ignore_ascii_case("rtx"))
        };
        if let Some(track) = reader.offered().filter(|track| !is_sent_again(track)) {
            tracks.push(track);
            media.push(medium.clone());
        }
    }
    match tracks.len() {
        0 => return Err("it offers no RTP".to_owned()),
        1..=MAX_TRACKS => {}
        more => return Err(format!("it offers {more} tracks, more than {MAX_TRACKS}")),
    }
    let is_whole = media.len() == session.medias.len();
    session.medias = media;
    session.medias.iter_mut().for_each(track::name_profile);
    // One that names what is not there any more means nothing (RFC 5888).
    session.attributes.retain(|one| is_whole || !one.attribute.eq_ignore_ascii_case("group"));
    let controls = session.medias.iter().map(|medium| control(&medium.attributes)).collect();
    let (name, aggregate) = (session.session_name.trim().to_owned(), control(&session.attributes));
    Ok(Offered { presentation: Presentation { name, tracks, session }, aggregate, controls })
}

fn control(attributes: &[Attribute]) -> Option<String> {
    let named = attributes.iter().find(|attribute| attribute.attribute.eq_ignore_ascii_case("control"));
    let value = named.and_then(|attribute| attribute.value.as_deref()).map(str::trim);
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::{Repairs, mpegts, repairable, unicast};
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn described(session: &str, media: &str) -> Offered {
        let text = format!("v=0\r\no=- 7 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n{session}{media}");
        offered(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_rtp_medium_is_a_track() {
        let offered = described(
            "c=IN IP4 0.0.0.0\r\na=control:*\r\n",
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
             m=application 0 TCP/FOO 1\r\nm=audio 0 RTP/AVP 8\r\na=Control: trackID=2\r\n\
             m=video 0 RTP/SAVP 96\r\nm=application 0 RTP/AVP smart/1\r\nm=audio 49170/2 RTP/AVPF 0 8\r\n",
        );
        assert_eq!(offered.aggregate.as_deref(), Some("*"));
        let controls = [Some("trackID=1"), Some("trackID=2"), None].map(|control| control.map(str::to_owned));
        assert_eq!(offered.controls, controls);
        let tracks = &offered.presentation.tracks;
        let what: Vec<_> = tracks.iter().map(|track| (track.media.as_str(), track.clock_rate)).collect();
        assert_eq!(what, [("video", Some(90_000)), ("audio", Some(8_000)), ("audio", Some(8_000))]);
        assert_eq!(tracks[2].payload_types, [0, 8]);
    }

    #[test]
    fn viewers_are_told_what_the_media_are_and_nothing_of_where_they_come_from() {
        let offered = described(
            "c=IN IP4 192.0.2.1\r\na=control:rtsp://192.0.2.1/cam\r\na=range:npt=0-\r\na=ts-refclk:ntp=/traceable/\r\n",
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=Z0I=\r\n\
             a=mediaclk:direct=0\r\na=ptime:20\r\na=control:rtsp://192.0.2.1/cam/trackID=1\r\na=recvonly\r\n",
        );
        let text = unicast(&offered.presentation, Ipv4Addr::LOCALHOST.into());
        for kept in ["a=ts-refclk:ntp=/traceable/", "a=fmtp:96 sprop", "a=mediaclk:", "a=ptime:20", "o=- 7 0"]
        {
            assert!(text.contains(kept), "{kept} in {text}");
        }
        assert!(!text.contains("192.0.2.1") && !text.contains("recvonly"), "{text}");
        assert_eq!(text.matches("a=control:").count(), 2, "{text}");
    }

    #[test]
    fn what_is_sent_again_in_a_session_of_its_own_is_no_track() {
        let source = mpegts("news", [239, 9, 9, 1].into(), 5004, None);
        let text = repairable(&source, Ipv4Addr::LOCALHOST.into(), Repairs::RtxSession, 2000);
        let offered = offered(text.as_bytes()).expect("a description");
        assert_eq!(offered.controls, [Some("trackID=1".to_owned())]);
        let text = unicast(&offered.presentation, Ipv4Addr::LOCALHOST.into());
        assert!(!text.contains("rtx") && !text.contains("AVPF") && !text.contains("FID"), "{text}");
    }

    #[test]
    fn without_rtp_there_is_nothing_to_set_up() {
        let error = offered(b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n").expect_err("nothing");
        assert_eq!(error, "it offers no RTP");
        assert!(offered(b"<html>").is_err());
        assert!(offered("v=0\r\nm=video 0 RTP/AVP 33\r\n".repeat(33).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(media in "(m=[a-z0-9/ AVPRT]{0,20}\r\n|a=control:[ -~é]{0,9}\r\n){0,5}") {
            let _ = offered(format!("v=0\r\ns=x\r\n{media}").as_bytes());
        }
    }
}
