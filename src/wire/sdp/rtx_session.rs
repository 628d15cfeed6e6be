//! What is sent again in an RTP session of its own (RFC 4588 section 8.3): a medium behind each one that has it, grouped with that one by what
//! both are called (RFC 5888).

use std::collections::HashSet;

use sdp_types::{Attribute, Media, Session};

/// A medium's retransmission.
pub(super) struct Retransmission {
    /// Its attributes but for its control and its name.
    pub attributes: Vec<Attribute>,
    pub payload_type: u8,
}

/// Adds them: for each medium, in their order, if it has one.
pub(super) fn add(session: &mut Session, each: Vec<Option<Retransmission>>) {
    let mut names: HashSet<String> = session.medias.iter().filter_map(name).collect();
    let media = std::mem::take(&mut session.medias);
    for (number, (mut medium, retransmission)) in (1..).zip(media.into_iter().zip(each)) {
        let Some(Retransmission { attributes, payload_type }) = retransmission else {
            session.medias.push(medium);
            continue;
        };
        let of = name(&medium).unwrap_or_else(|| {
            let own = free(&mut names, number.to_string());
            medium.attributes.push(Attribute::with_value("mid", &own));
            own
        });
        let own = free(&mut names, format!("rtx{number}"));
        session.attributes.push(Attribute::with_value("group", format!("FID {of} {own}")));
        let control = Attribute::with_value("control", format!("rtxID={number}"));
        let again = Media {
            fmt: payload_type.to_string(),
            media_title: None,
            bandwidths: vec![],
            attributes: attributes.into_iter().chain([Attribute::with_value("mid", &own), control]).collect(),
            ..medium.clone()
        };
        session.medias.extend([medium, again]);
    }
}

fn name(medium: &Media) -> Option<String> {
    let name = medium.attributes.iter().find(|one| one.attribute.eq_ignore_ascii_case("mid"))?;
    name.value.as_deref().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// That name, or one like it, which no medium has.
fn free(names: &mut HashSet<String>, like: String) -> String {
    let mut name = like;
    while !names.insert(name.clone()) {
        name.push('x');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::super::{Repairs, parse, repairable, samples};
    use std::net::IpAddr;

    const DUO: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=duo\r\nc=IN IP4 239.77.60.1/8\r\nt=0 0\r\n\
        m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=mid:rtx2\r\nm=audio 5006 RTP/AVP 0\r\n";

    fn described(text: &str) -> String {
        let source = parse(text.as_bytes()).expect("a description");
        repairable(&source, IpAddr::from([192, 0, 2, 1]), Repairs::RtxSession, 2000)
    }

    #[test]
    fn each_medium_is_followed_by_what_is_sent_again_of_it() {
        let text = described(DUO);
        let (session, media) = text.split_once("m=").expect("media");
        assert!(session.contains("a=group:FID rtx2 rtx1\r\na=group:FID 2 rtx2x\r\n"), "{text}");
        let media: Vec<_> = media.split("\r\nm=").collect();
        for (medium, lines) in media.iter().zip([
            &["video 0 RTP/AVPF 96", "a=rtcp-fb:96 nack", "a=mid:rtx2", "a=control:trackID=1"][..],
            &["video 0 RTP/AVPF 97", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96;rtx-time=2000", "a=mid:rtx1"],
            &["audio 0 RTP/AVPF 0", "a=rtcp-fb:0 nack", "a=control:trackID=2", "a=mid:2"],
            &["audio 0 RTP/AVPF 96", "a=rtpmap:96 rtx/8000", "a=fmtp:96 apt=0;rtx-time=2000", "a=mid:rtx2x"],
        ]) {
            assert!(lines.iter().all(|line| medium.contains(line)), "{lines:?} in {medium}");
        }
        assert!(media[1].contains("a=control:rtxID=1") && media[3].contains("a=control:rtxID=2"), "{text}");
        assert!(!media[0].contains("rtx/") && !media[1].contains("nack"), "{text}");
        assert_eq!(media.len(), 4);
    }

    #[test]
    fn no_two_media_are_of_one_name() {
        for sample in samples::ALL {
            let text = described(sample);
            let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect();
            let mut different = names.clone();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different.len(), names.len(), "{text}");
        }
    }
}
