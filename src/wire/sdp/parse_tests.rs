//! Descriptions of real senders' habits, what is refused in them, and what viewers see of them.

use super::super::samples::{AES67, ALL, CAMERA, FFMPEG, GSTREAMER, IPV6};
use super::super::{Feed, Framing, mpegts, unicast};
use super::*;
use crate::wire::fuzz;
use crate::wire::source_filter::SourceFilter;
use proptest::prelude::*;
use std::net::IpAddr;

const SERVER: &str = "192.0.2.1";
const TWO_MODES: &str =
    "a=source-filter: incl IN IP4 * 10.0.0.1\na=source-filter: excl IN IP4 239.9.9.2 10.0.0.2";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn read(text: &str) -> Presentation {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn describe(text: &str) -> String {
    unicast(&read(text), ip(SERVER))
}

#[test]
fn ffmpeg_gives_two_tracks() {
    let program = read(FFMPEG);
    assert_eq!(program.name, "Evening News");
    let video = TrackDescription {
        feeds: vec![Feed {
            group: ip("239.9.9.1"),
            port: 5004,
            rtcp_port: Some(5005),
            rtcp_group: None,
            filter: SourceFilter::Any,
        }],
        same_ssrcs: vec![],
        framing: Framing::Rtp,
        payload_types: vec![96],
        clock_rate: Some(90_000),
        encoding: Some("H264".into()),
        media: "video".into(),
        tells_parameter_sets: program.tracks[0].tells_parameter_sets,
        has_standby: false,
    };
    assert_eq!(program.tracks[0], video);
    assert_eq!(
        (program.tracks[1].feeds[0].group, program.tracks[1].clock_rate),
        (ip("239.9.9.2"), Some(48_000))
    );
}

#[test]
fn gstreamer_names_its_rtcp_port_and_shares_the_sessions_group() {
    let track = &read(GSTREAMER).tracks[0];
    let feed = &track.feeds[0];
    assert_eq!((feed.group, feed.port, feed.rtcp_port), (ip("239.1.2.3"), 5000, Some(5010)));
    assert_eq!(track.payload_types, [96, 97]);
}

#[test]
fn aes67_is_source_specific() {
    assert_eq!(read(AES67).tracks[0].feeds[0].filter, SourceFilter::from(Some(ip("192.168.1.21"))));
    let filter_with_ttl = AES67.replace("incl IN IP4 239.69.11.44 ", "incl IN IP4 239.69.11.44/32 ");
    assert_eq!(
        read(&filter_with_ttl).tracks[0].feeds[0].filter,
        SourceFilter::from(Some(ip("192.168.1.21")))
    );
}

#[test]
fn a_camera_is_taken_as_it_is_without_its_disabled_track() {
    let program = read(CAMERA);
    let seen: Vec<_> =
        program.tracks.iter().map(|t| (t.feeds[0].port, t.payload_types[0], t.clock_rate)).collect();
    assert_eq!(seen, [(40_000, 26, Some(90_000)), (40_004, 0, Some(8_000))]);
    assert_eq!(program.name, "");
}

#[test]
fn ipv6_has_a_filter_for_every_group() {
    let feed = &read(IPV6).tracks[0].feeds[0];
    assert_eq!((feed.group, feed.filter.named()), (ip("ff3e::8000:1"), &[ip("2001:db8::9")][..]));
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    for sample in ALL {
        let crlf = sample.replace('\n', "\r\n");
        assert_eq!(read(&crlf), read(sample));
        assert_eq!(read(&format!("\u{feff}{crlf}")), read(sample));
    }
}

#[test]
fn a_filter_names_several_senders_or_those_who_are_not_meant() {
    let filters = |lines: &str| read(&FFMPEG.replace("b=AS:128\n", lines)).tracks[1].feeds[0].filter.clone();
    let hosts = || vec![ip("10.0.0.1"), ip("10.0.0.2")];
    for lines in [
        "a=source-filter: incl IN IP4 239.9.9.2 10.0.0.2 10.0.0.1\n",
        "a=source-filter: INCL IN IP4 * 10.0.0.1\na=source-filter: incl IN IP4 239.9.9.2/16 10.0.0.2\n",
    ] {
        assert_eq!(filters(lines), SourceFilter::only(hosts()), "{lines}");
    }
    let excluded = "a=source-filter: excl IN IP4 * 10.0.0.1 10.0.0.2\n";
    assert_eq!(filters(excluded), SourceFilter::all_but(hosts()));
}

#[test]
fn multiplexed_rtcp_is_on_the_rtp_port() {
    let track = &read(&FFMPEG.replace("b=AS:2500\n", "a=rtcp-mux\n")).tracks[0];
    assert!(track.feeds[0].is_muxed());
}

#[test]
fn errors_name_the_line_and_the_remedy() {
    for (from, to, line, remedy) in [
        ("c=IN IP4 239.9.9.1/16", "c=IN IP6 ff02::1%eth0/1", 7, "leave %eth0 out, so that ff02::1 stays"),
        ("239.9.9.1/16", "media.example", 7, "names are not resolved"),
        ("c=IN IP4 239.9.9.2/16\n", "", 11, "write c=IN IP4 group/ttl below it"),
        ("RTP/AVP 97", "RTP/SAVP 97", 11, "let the source send RTP/AVP"),
        ("RTP/AVP 97", "raw/raw/udp 97", 11, "source = \"udp://239.9.9."),
        ("RTP/AVP 97", "TCP/RTP/AVP 97", 11, "or port 0"),
        ("RTP/AVP 97", "RTP/AVP h264", 11, "from 0 to 127"),
        ("RTP/AVP 97", "RTP/AVP 128", 11, "from 0 to 127"),
        ("m=audio 5006", "m=audio 65535", 11, "or write a=rtcp:port"),
        ("b=AS:128", "a=rtcp:none", 13, "write a=rtcp:port"),
        ("b=AS:128", "a=source-filter: none IN IP4 * 10.0.0.1", 13, "or remove the line"),
        ("b=AS:128", TWO_MODES, 13, "remove the lines with excl"),
        ("b=AS:128", "a=source-filter: incl IN IP4 * fe80::1", 13, "incl IN IP4 group source"),
        ("b=AS:128", "a=source-filter: incl IN IP4 *", 13, "incl IN IP4 group source"),
        ("b=AS:128", "a=source-filter: incl", 13, "incl IN IP4 group source"),
        ("b=AS:128", "a=source-filter: incl IN IP4 239.9.9.9 10.0.0.1", 13, "or remove the line"),
        ("t=0 0", "a=source-filter: incl IN IP4 239.9.9.9 10.0.0.1", 4, "or remove the line"),
        ("b=AS:128", "a=source-filter: incl IN IP4 239.9.9.2 camera", 13, "names are not resolved"),
        ("239.9.9.2/16", "232.9.9.2/16", 12, "for a source that is named"),
        ("239.9.9.2/16", "232.9.9.2/16\r\na=source-filter: excl IN IP4 * 10.0.0.1", 12, "with one alone"),
        ("RTP/AVP 97\nc=IN IP4 239.9.9.2/16", "udp 97\nc=IN IP4 239.9.9.2/16", 11, "write RTP/AVP 97"),
        (
            "m=audio 5006 RTP/AVP 97\nc=IN IP4 239.9.9.2",
            "m=audio 5004 RTP/AVP 97\nc=IN IP4 239.9.9.1",
            11,
            "line 6",
        ),
    ] {
        let error = parse(FFMPEG.replace(from, to).as_bytes()).expect_err(to);
        assert_eq!(error.line, Some(line), "{to}: {error}");
        assert!(error.to_string().contains(remedy), "{to}: {error}");
    }
}

/// Two legs of SMPTE ST 2022-7: one stream on two networks.
const TWO_LEGS: &str = "v=0\ns=x\na=group:DUP primary secondary\n\
    m=video 50000 RTP/AVP 112\nc=IN IP4 239.100.9.10/32\na=mid:primary\n\
    m=video 50020 RTP/AVP 112\nc=IN IP4 239.101.9.10/32\na=mid:secondary;\n";

#[test]
fn one_stream_on_two_networks_is_never_two_pictures() {
    let program = read(TWO_LEGS);
    let [track] = &program.tracks[..] else { panic!("one track: {:?}", program.tracks) };
    let feeds: Vec<_> = track.feeds.iter().map(|feed| (feed.group, feed.port, feed.rtcp_port)).collect();
    let two = [(ip("239.100.9.10"), 50_000, Some(50_001)), (ip("239.101.9.10"), 50_020, Some(50_021))];
    assert_eq!(feeds, two);
    let described = describe(TWO_LEGS);
    assert_eq!(described.matches("m=video 0 RTP/AVP 112").count(), 1, "{described}");
    assert!(!described.contains("DUP") && !described.contains("a=mid"), "{described}");
    let one_leg = TWO_LEGS.replace("m=video 50020", "m=video 0");
    assert_eq!(read(&one_leg).tracks[0].feeds.len(), 1);
    assert!(!describe(&one_leg).contains("DUP"), "who sees one leg hears of no other");
    let lip_sync = TWO_LEGS.replace("a=group:DUP", "a=group:LS");
    assert_eq!(read(&lip_sync).tracks.len(), 2, "lip sync is another thing");
    assert!(describe(&lip_sync).contains("a=mid:primary"));
    let identical = TWO_LEGS.replace("50020", "50000").replace("239.101", "239.100");
    assert_eq!(read(&identical).tracks[0].feeds.len(), 2, "but for the network");
    let unlike = TWO_LEGS.replacen("AVP 112", "AVP 113", 1);
    let error = parse(unlike.as_bytes()).expect_err("two things").to_string();
    assert!(
        error.starts_with("line 7: a=group:DUP: this medium and that of line 4 are one stream"),
        "{error}"
    );
}

#[test]
fn two_senders_of_one_group_who_send_the_same_are_two_feeds() {
    let two = "v=0\ns=x\nm=video 30000 RTP/AVP 100\nc=IN IP4 233.252.0.1/127\n\
        a=source-filter:incl IN IP4 233.252.0.1 198.51.100.1 198.51.100.2\na=rtpmap:100 MP2T/90000\n\
        a=ssrc:1000 cname:c\na=ssrc:1010 cname:c\na=ssrc-group:DUP 1000 1010\na=mid:Ch1\n";
    let track = read(two).tracks.remove(0);
    let hosts: Vec<_> = track.feeds.iter().map(|feed| feed.filter.named().to_vec()).collect();
    assert_eq!(hosts, [[ip("198.51.100.1")], [ip("198.51.100.2")]]);
    assert_eq!(track.same_ssrcs, [1000, 1010]);
    let described = describe(two);
    assert!(described.contains("a=ssrc:1000") && !described.contains("1010"), "{described}");
    let either = read(&two.replace("a=ssrc-group:DUP 1000 1010\n", ""));
    assert_eq!(either.tracks[0].feeds.len(), 1, "either of them");
}

#[test]
fn what_is_broken_and_not_needed_does_not_decide() {
    let track = read(FFMPEG).tracks;
    for (from, to) in [
        ("o=- 0 0 IN IP4 127.0.0.1", "o=-0 0 IN IP4 127.0.0.1"),
        ("t=0 0", "t=now-"),
        ("t=0 0", "c=IN \nt=0 0"),
        ("c=IN IP4 239.9.9.1/16", "c=IN c=IN IP4 239.9.9.1/16"),
        ("m=audio", "m=application/MAKER 0 RTP/AVP smart/1/90000\na=rtpmap:95 MAKER/90000\nm=audio"),
        ("m=audio", "m=video 0 RTP/AVP\nm=audio"),
        ("v=0", "SDP:\nv=0"),
        ("RTP/AVP 96", "MP2T/AVP 96"),
    ] {
        assert_eq!(read(&FFMPEG.replace(from, to)).tracks, track, "{to}");
        assert_eq!(read(&FFMPEG.replace(from, to).replace('\n', "\n   ")).tracks, track, "{to}, indented");
    }
    assert_eq!(
        read("c=IN IP4 239.23.10.85\nm=video 9722 RTP/AVP 33\n").tracks[0].feeds[0].port,
        9722,
        "a fragment"
    );
    let without_rate = read(&FFMPEG.replace("H264/90000", "META /0"));
    assert_eq!((without_rate.tracks.len(), without_rate.tracks[0].clock_rate), (2, None));
}

#[test]
fn what_only_the_sources_network_means_is_not_handed_on() {
    let own = "b=RR:0\na=rtcp-fb:96 nack\na=ssrc-group:DUP 1 2\na=rtcp-unicast:reflection\nb=AS:2500";
    assert_eq!(describe(&FFMPEG.replace("b=AS:2500", own)), describe(FFMPEG));
    assert!(describe(&FFMPEG.replace("RTP/AVP 96", "MP2T/AVP 96")).contains("m=video 0 RTP/AVP 96\r\n"));
    let latin = FFMPEG.replace("Evening News", "Caf?").into_bytes();
    let latin: Vec<u8> = latin.into_iter().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    assert_eq!(parse(&latin).expect("read as Latin-1").name, "Caf\u{e9}");
}

#[test]
fn errors_of_syntax_and_of_the_whole_say_what_to_do() {
    let port = parse(FFMPEG.replace("5004", "seven").as_bytes()).expect_err("a word for a port");
    assert!(port.to_string().contains("line 6"), "{port}");
    let none = parse(b"v=0\ns=empty\nt=0 0\n").expect_err("no medium");
    assert!(none.to_string().contains("write an m= line"), "{none}");
    let long = parse(&vec![b'a'; MAX_SDP_LEN + 1]).expect_err("too long");
    assert!(long.to_string().contains("longer than"), "{long}");
    let media: String =
        (0..=MAX_TRACKS).map(|index| format!("m=audio {} RTP/AVP 0\n", 5004 + 2 * index)).collect();
    let many = format!("v=0\nc=IN IP4 239.1.1.1\n{media}");
    assert!(parse(many.as_bytes()).expect_err("too many").to_string().contains("several channels"));
}

#[test]
fn describing_ffmpeg_keeps_the_media_and_changes_the_place() {
    let expected = "\
v=0
o=- 0 0 IN IP4 127.0.0.1
s=Evening News
c=IN IP4 0.0.0.0
t=0 0
a=control:*
a=range:npt=now-
a=tool:libavformat 60.16.100
m=video 0 RTP/AVP 96
b=AS:2500
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAH6zZQFAFuhAAAAMAEAAAAwPA8YMZYA==,aOvjyyLA; profile-level-id=64001F
a=control:trackID=1
m=audio 0 RTP/AVP 97
b=AS:128
a=rtpmap:97 MPEG4-GENERIC/48000/2
a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=119056E500
a=control:trackID=2
";
    assert_eq!(describe(FFMPEG), expected.replace('\n', "\r\n"));
}

#[test]
fn what_is_the_sources_own_is_gone_and_all_else_stays_in_order() {
    for sample in ALL {
        let text = describe(sample);
        for gone in
            ["source-filter", "a=rtcp", "recvonly", "sendonly", "239.", "232.", "ff3e", "stream=0", "npt=0-"]
        {
            assert!(!text.contains(gone), "{gone} in\n{text}");
        }
        assert_eq!(text.matches("a=control:*").count(), 1);
        assert_eq!(text.matches("a=range:npt=now-").count(), 1);
    }
    let clocks = "a=rtpmap:97 L24/48000/2\r\na=ptime:1\r\na=ts-refclk:ptp=IEEE1588-2008:00-1D-C1-FF-FE-12-34-56:0\r\n\
                  a=mediaclk:direct=142410716\r\n";
    assert!(describe(AES67).contains(clocks));
}

#[test]
fn the_origin_is_kept_where_it_is_valid_and_mended_where_not() {
    assert!(describe(AES67).contains("\r\no=- 1423986 1423994 IN IP4 192.168.1.21\r\n"));
    assert!(describe(CAMERA).contains("\r\no=cam 0 7 IN IP4 192.0.2.1\r\n"));
    assert!(describe(CAMERA).contains("\r\ns=-\r\n"));
}

#[test]
fn tracks_are_numbered_as_they_are_served() {
    let text = describe(CAMERA);
    assert!(text.contains("m=video 0 RTP/AVP 26\r\n"), "{text}");
    assert!(text.contains("m=audio 0 RTP/AVP 0\r\na=control:trackID=2\r\n"), "{text}");
    assert!(!text.contains("trackID=3") && !text.contains("PCMA"), "{text}");
}

#[test]
fn a_viewer_over_ipv6_sees_ipv6() {
    assert!(unicast(&read(FFMPEG), ip("2001:db8::1")).contains("\r\nc=IN IP6 ::\r\n"));
    assert!(unicast(&read(IPV6), ip("::ffff:192.0.2.1")).contains("\r\nc=IN IP4 0.0.0.0\r\n"));
}

#[test]
fn a_transport_stream_describes_itself() {
    let program = mpegts("news\r\nm=evil", ip("232.9.9.1"), 5004, Some(ip("192.0.2.7")));
    assert_eq!(program.tracks[0].feeds[0].rtcp_port, Some(5005));
    assert_eq!(
        (&program.tracks[0].feeds[0].filter, program.tracks[0].clock_rate),
        (&Some(ip("192.0.2.7")).into(), Some(90_000))
    );
    let text = unicast(&program, ip(SERVER));
    let media = "m=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:trackID=1\r\n";
    assert!(text.ends_with(media), "{text}");
    assert!(!text.contains("\nm=evil"), "a name cannot add a line: {text}");
    assert!(text.contains("\r\no=- 0 0 IN IP4 192.0.2.1\r\n"), "{text}");
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz::sdp::exercise(&text);
    }

    /// A sample with one stretch overwritten.
    #[test]
    fn mangled_samples_never_panic(which in 0..5usize, at in 0..600usize, junk in "[ -~\\n]{1,12}") {
        let mut text = ALL[which].as_bytes().to_vec();
        let at = at % text.len();
        let end = (at + junk.len()).min(text.len());
        text.splice(at..end, junk.bytes());
        fuzz::sdp::exercise(&text);
    }
}

#[test]
fn several_ports_or_groups_of_a_medium_are_tracks_of_their_own() {
    let places = |text: &str| -> Vec<_> {
        let tracks = read(&format!("v=0\ns=a\n{text}")).tracks;
        tracks.iter().map(|track| (track.feeds[0].group.to_string(), track.feeds[0].port)).collect()
    };
    let at = |group: &str, port| (group.to_owned(), port);
    assert_eq!(
        places("c=IN IP4 239.1.1.1/16\nm=video 5004/2 RTP/AVP 33\n"),
        [at("239.1.1.1", 5004), at("239.1.1.1", 5006)]
    );
    assert_eq!(
        places("m=video 5004 RTP/AVP 33\nc=IN IP4 239.1.1.1/16/2\n"),
        [at("239.1.1.1", 5004), at("239.1.1.2", 5004)]
    );
    let refused =
        parse(b"v=0\ns=a\nc=IN IP4 239.1.1.1/16/2\nm=video 5004/3 RTP/AVP 33\n").expect_err("2 and 3");
    assert!(refused.to_string().contains("5004/3 is 3 streams"), "{refused}");
}

#[test]
fn reports_may_be_sent_to_another_group_and_a_host_that_takes_reports_is_none() {
    let of = |rtcp: &str| {
        let text = format!("v=0\ns=a\nc=IN IP4 239.1.1.1/16\nm=video 5004 RTP/AVP 33\na=rtcp:{rtcp}\n");
        let feed = read(&text).tracks[0].feeds[0].clone();
        (feed.rtcp_port, feed.rtcp_group)
    };
    assert_eq!(of("6000 IN IP4 239.1.1.2/16"), (Some(6000), Some(ip("239.1.1.2"))));
    for same in ["6000", "6000 IN IP4 239.1.1.1", "6000 IN IP4 192.0.2.7", "6000 IN IP6 ff15::1"] {
        assert_eq!(of(same), (Some(6000), None), "{same}");
    }
}

#[test]
fn an_address_of_this_machine_is_for_those_who_write_here_alone() {
    let text = "v=0\ns=a\nc=IN IP4 192.0.2.50\nm=video 5004 RTP/AVP 33\n";
    assert_eq!(read(text).tracks[0].feeds[0].group, ip("192.0.2.50"));
    assert!(parse_announced(text.as_bytes()).is_err());
    assert!(parse_announced(text.replace("192.0.2.50", "239.1.1.1/8").as_bytes()).is_ok());
}
