//! The description of a stored programme: of each medium what its packets are.

use std::net::Ipv4Addr;

use sdp_types::{Attribute, Media, Origin, Session};

use super::presentation::{Framing, Presentation, TrackDescription, medium};

/// What a stored programme has on one track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMedium {
    /// `video` or `audio`.
    pub media: &'static str,
    /// Of its packets: below 128.
    pub payload_type: u8,
    /// As `a=rtpmap:` names it.
    pub encoding: String,
    /// Of its timestamps, in Hz: above 0.
    pub clock_rate: u32,
    /// Of sound, where there may be several.
    pub channels: Option<u16>,
    /// The parameters of its format, as `a=fmtp:` has them.
    pub parameters: Option<String>,
}

impl StoredMedium {
    /// What a hint track says of itself (ISO/IEC 14496-12 section 9.1.4): an `m=` line and those below it. `None`: that is not understood.
    #[must_use]
    pub fn of_hint(sdp: &str) -> Option<Self> {
        if sdp.lines().any(|line| line.contains(char::is_control)) {
            return None;
        }
        let mut lines = sdp.lines().map(str::trim);
        let mut words = lines.find_map(|line| line.strip_prefix("m="))?.split_ascii_whitespace();
        let media = match words.next()? {
            "video" => "video",
            "audio" => "audio",
            _ => return None,
        };
        let number = words.nth(2)?;
        let payload_type = number.parse().ok().filter(|number| *number < 128)?;
        let said = |name: &str| {
            let mut all = sdp.lines().filter_map(|line| line.trim().strip_prefix(name));
            all.find_map(|line| line.split_once(' ').filter(|(of, _)| *of == number))
                .map(|(_, said)| said.trim())
        };
        let mut map = said("a=rtpmap:")?.split('/');
        let (encoding, clock_rate) = (map.next()?.to_owned(), map.next()?.parse().ok()?);
        let channels = map.next().and_then(|channels| channels.parse().ok());
        let parameters = said("a=fmtp:").map(str::to_owned);
        let is_text = |text: &str| !text.contains(char::is_control);
        let is_one = clock_rate > 0 && !encoding.is_empty() && is_text(&encoding);
        let is_understood = is_one && parameters.as_deref().is_none_or(is_text);
        is_understood.then_some(Self { media, payload_type, encoding, clock_rate, channels, parameters })
    }

    fn medium(&self) -> Media {
        let Self { payload_type, encoding, clock_rate, .. } = self;
        let channels = self.channels.map_or(String::new(), |channels| format!("/{channels}"));
        let map =
            Attribute::with_value("rtpmap", format!("{payload_type} {encoding}/{clock_rate}{channels}"));
        let said = self.parameters.as_ref().map(|said| format!("{payload_type} {said}"));
        let said = said.map(|said| Attribute::with_value("fmtp", said));
        medium(self.media, 0, *payload_type, [map].into_iter().chain(said).collect())
    }

    fn track(&self) -> TrackDescription {
        let has_sets = |said: &String| said.contains("sprop-parameter-sets=") || said.contains("sprop-sps=");
        TrackDescription {
            feeds: vec![],
            same_ssrcs: vec![],
            framing: Framing::Rtp,
            payload_types: vec![self.payload_type],
            clock_rate: Some(self.clock_rate),
            encoding: Some(self.encoding.clone()),
            media: self.media.to_owned(),
            tells_parameter_sets: self.parameters.as_ref().is_some_and(has_sets),
            has_standby: false,
        }
    }
}

/// A stored programme: nothing is sent anywhere before somebody asks for it. A file's name may have line ends, and a description's may not.
#[must_use]
pub fn stored(name: &str, media: &[StoredMedium]) -> Presentation {
    let name = name.replace(char::is_control, " ");
    let mut session = Session::new(Origin::with_ip_addr("0", 0, Ipv4Addr::UNSPECIFIED), name.as_str());
    session.medias = media.iter().map(StoredMedium::medium).collect();
    Presentation { name, tracks: media.iter().map(StoredMedium::track).collect(), session }
}

#[cfg(test)]
mod tests {
    use super::super::{offered, unicast};
    use super::*;

    #[test]
    fn what_is_stored_is_described_as_a_client_reads_it() {
        let video = StoredMedium {
            media: "video",
            payload_type: 96,
            encoding: "H264".to_owned(),
            clock_rate: 90_000,
            channels: None,
            parameters: Some("packetization-mode=1;sprop-parameter-sets=Z0I=".to_owned()),
        };
        let audio = StoredMedium {
            media: "audio",
            payload_type: 97,
            encoding: "L16".to_owned(),
            clock_rate: 48_000,
            channels: Some(2),
            parameters: None,
        };
        let presentation = stored("film", &[video, audio]);
        let text = unicast(&presentation, Ipv4Addr::LOCALHOST.into());
        assert!(text.contains("m=audio 0 RTP/AVP 97\r\na=rtpmap:97 L16/48000/2\r\n"), "{text}");
        let read = offered(text.as_bytes()).expect("a description").presentation;
        assert_eq!(read.tracks, presentation.tracks);
        assert_eq!(read.parameters(0), presentation.parameters(0));
    }

    #[test]
    fn a_hint_track_describes_itself() {
        let sdp = "m=audio 0 RTP/AVP 97\r\nb=AS:64\r\na=rtpmap:97 mpeg4-generic/44100/2\r\n\
            a=control:trackID=4\r\na=fmtp:97 mode=AAC-hbr;config=1210\r\n";
        let medium = StoredMedium::of_hint(sdp).expect("a medium");
        assert_eq!((medium.payload_type, medium.clock_rate, medium.channels), (97, 44_100, Some(2)));
        assert_eq!(medium.parameters.as_deref(), Some("mode=AAC-hbr;config=1210"));
        let wrong = [
            "",
            "m=video 0 RTP/AVP 200\r\n",
            "m=video 0 RTP/AVP 96\r\n",
            "m=text 0 RTP/AVP 96\r\na=rtpmap:96 t140/1000",
            "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 a\rb=c",
        ];
        assert!(wrong.iter().all(|sdp| StoredMedium::of_hint(sdp).is_none()));
    }

    #[test]
    fn no_name_and_no_file_adds_a_line_to_a_description() {
        let medium = StoredMedium::of_hint("m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMU/8000").expect("a medium");
        let text = unicast(&stored("a\r\na=b", &[medium]), Ipv4Addr::LOCALHOST.into());
        assert!(text.contains("s=a  a=b\r\n"), "{text:?}");
        let wrong = [
            "m=audio 0 RTP/AVP 0\na=rtpmap:0 PC\rMU/8000",
            "m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=fmtp:0 a\ra=b",
            "m=audio 0 RTP/AVP 0\na=rtpmap:0 /8000",
        ];
        assert!(wrong.iter().all(|sdp| StoredMedium::of_hint(sdp).is_none()));
    }
}
