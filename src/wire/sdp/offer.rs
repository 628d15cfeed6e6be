//! What a server's description offers to a client: the URIs to set up, and how fast each track's clock runs
//! (RFC 2326 appendix C.1).
//!
//! It asks less of a description than `parse` does: addresses and ports in it mean nothing to an RTSP client.

use sdp_types::{Attribute, Media, RtpMap, Session};

use super::lines::Lines;
use super::mend::mend;
use super::parse::MAX_TRACKS;
use super::presentation::static_clock_rate;

/// The tracks that a server offers, in the order of their `m=` lines; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// The URI of the whole, for PLAY and TEARDOWN.
    pub aggregate: String,
    /// The RTP tracks.
    pub tracks: Vec<Offer>,
}

/// One track that can be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its URI, absolute.
    pub control: String,
    /// What it is: `video`, `audio`, `application`, …
    pub media: String,
    /// The clock rate in Hz of its first payload type, if an `a=rtpmap:` or RFC 3551 tells it.
    pub clock_rate: Option<u32>,
}

/// Reads a description whose controls are relative to `base`: Content-Base, or the URI that was asked about.
///
/// # Errors
/// When it cannot be read, or offers no RTP.
pub fn offers(description: &[u8], base: &str) -> Result<Offers, String> {
    let lines = mend(Lines::of(description)).ok_or("it is no session description")?;
    let session = Session::parse(lines.to_text().as_bytes()).map_err(|error| error.to_string())?;
    let aggregate = resolve(base, control(&session.attributes).unwrap_or("*"));
    let rtp = session.medias.iter().filter(|medium| medium.proto.to_ascii_uppercase().starts_with("RTP/"));
    let tracks: Vec<_> = rtp
        .map(|medium| Offer {
            control: resolve(base, control(&medium.attributes).unwrap_or("*")),
            media: medium.media.clone(),
            clock_rate: clock_rate(medium),
        })
        .collect();
    match tracks.len() {
        0 => Err("it offers no RTP".to_owned()),
        1..=MAX_TRACKS => Ok(Offers { aggregate, tracks }),
        more => Err(format!("it offers {more} tracks, more than {MAX_TRACKS}")),
    }
}

fn control(attributes: &[Attribute]) -> Option<&str> {
    let named = attributes.iter().find(|attribute| attribute.attribute.eq_ignore_ascii_case("control"));
    named.and_then(|attribute| attribute.value.as_deref()).map(str::trim).filter(|value| !value.is_empty())
}

/// A relative control is appended to the base as a part of its own, as players do it and servers expect, even
/// where RFC 3986 would replace the base's last part; one with a leading slash follows the host.
fn resolve(base: &str, control: &str) -> String {
    let is_absolute = |text: &str| {
        text.split_once("://")
            .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    if control == "*" {
        return base.to_owned();
    }
    if is_absolute(control) {
        return control.to_owned();
    }
    if control.starts_with('/') {
        let host_start = base.find("://").map_or(0, |at| at + 3);
        let host_end = base[host_start..].find('/').map_or(base.len(), |at| host_start + at);
        return format!("{}{control}", &base[..host_end]);
    }
    format!("{}/{control}", base.strip_suffix('/').unwrap_or(base))
}

fn clock_rate(medium: &Media) -> Option<u32> {
    let payload_type: u8 = medium.fmt.split_ascii_whitespace().next()?.parse().ok()?;
    let mut maps = medium.attributes_typed::<RtpMap>().flatten();
    let mapped = maps.find(|map| map.payload_type == payload_type).map(|map| map.clock_rate);
    mapped.or_else(|| static_clock_rate(payload_type)).filter(|rate| *rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "rtsp://edge:8554/news/";

    fn described(session: &str, media: &str) -> Offers {
        let text = format!("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n{session}{media}");
        offers(text.as_bytes(), BASE).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_rtp_medium_is_a_track() {
        let offers = described(
            "a=control:*\r\n",
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n\
             m=application 0 TCP/FOO 1\r\nm=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n",
        );
        assert_eq!(offers.aggregate, BASE);
        let track = |control: &str, media: &str, rate| Offer {
            control: format!("{BASE}{control}"),
            media: media.to_owned(),
            clock_rate: Some(rate),
        };
        assert_eq!(offers.tracks, [track("trackID=1", "video", 90_000), track("trackID=2", "audio", 8_000)]);
    }

    #[test]
    fn controls_are_relative_absolute_or_missing() {
        for (control, expected) in [
            ("trackID=1", "rtsp://edge:8554/news/trackID=1"),
            ("rtsp://10.0.0.1/other", "rtsp://10.0.0.1/other"),
            ("RTSP://10.0.0.1/other", "RTSP://10.0.0.1/other"),
            ("/vod/1", "rtsp://edge:8554/vod/1"),
            ("*", BASE),
            ("", BASE),
        ] {
            let offers = described("", &format!("m=video 0 RTP/AVP 33\r\na=control:{control}\r\n"));
            assert_eq!(offers.tracks[0].control, expected, "{control}");
        }
        assert_eq!(resolve("rtsp://edge/news", "track1"), "rtsp://edge/news/track1", "no slash is lost");
        assert_eq!(resolve("rtsp://edge", "/track1"), "rtsp://edge/track1");
    }

    #[test]
    fn without_rtp_there_is_nothing_to_set_up() {
        let error = offers(b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\n", BASE).expect_err("nothing");
        assert_eq!(error, "it offers no RTP");
        assert!(offers(b"<html>", BASE).is_err());
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(media in "(m=[a-z0-9/ AVPRT]{0,20}\r\n|a=control:[ -~é]{0,9}\r\n){0,5}") {
            let _ = offers(format!("v=0\r\ns=x\r\n{media}").as_bytes(), "é://x");
        }
    }
}
