//! The Transport header, as real clients write it.

use super::*;
use crate::wire::fuzz;
use proptest::prelude::*;

/// By a server that serves all that is understood.
fn parse(header: &str) -> Result<Transport, Refused> {
    super::parse(header, |_| true)
}

fn raw(profile: Profile, client_port: u16) -> Result<Transport, Refused> {
    Ok(Transport { profile, delivery: Delivery::Raw { client_port } })
}

fn udp(client_rtp_port: u16, client_rtcp_port: u16) -> Result<Transport, Refused> {
    let delivery = Delivery::Udp { client_rtp_port, client_rtcp_port };
    Ok(Transport { profile: Profile::Avp, delivery })
}

fn tcp(channels: Option<(u8, u8)>) -> Result<Transport, Refused> {
    Ok(Transport { profile: Profile::Avp, delivery: Delivery::Interleaved { channels } })
}

#[test]
fn udp_as_clients_ask_for_it() {
    for header in [
        "RTP/AVP;unicast;client_port=5000-5001",
        "RTP/AVP/UDP;unicast;client_port=5000-5001",
        "RTP/AVP/UDP;unicast;client_port=5000-5001;mode=\"PLAY\"",
        "RTP/AVP;unicast;client_port=5000-5001;mode=play;",
        "rtp/avp ; unicast ; client_port = 5000 - 5001 ; ssrc=0",
        "RTP/AVP;client_port=5000",
        "RTP/AVP;unicast;destination=198.51.100.9;client_port=5000-5001",
    ] {
        assert_eq!(parse(header), udp(5000, 5001), "{header}");
    }
    assert_eq!(parse("RTP/AVP;unicast;client_port=5000-5000"), udp(5000, 5000), "multiplexed");
}

#[test]
fn interleaved_as_clients_ask_for_it() {
    assert_eq!(parse("RTP/AVP/TCP;unicast;interleaved=2-3"), tcp(Some((2, 3))));
    assert_eq!(parse("RTP/AVP/TCP;interleaved=2"), tcp(Some((2, 3))));
    assert_eq!(parse("RTP/AVP/TCP;unicast"), tcp(None));
    assert_eq!(parse("RTP/AVP;unicast;interleaved=0-1"), tcp(Some((0, 1))));
}

#[test]
fn transport_streams_without_rtp_as_set_top_boxes_ask_for_them() {
    for header in [
        "MP2T/H2221/UDP;unicast;client_port=5000",
        "MP2T/H2221/UDP;unicast;destination=192.0.2.7;client_port=5000-5001;mode=play",
        "mp2t/h2221/udp;client_port=5000",
        "MP2T/H2221;unicast;client_port=5000",
    ] {
        assert_eq!(parse(header), raw(Profile::H2221, 5000), "{header}");
    }
    assert_eq!(parse("RAW/RAW/UDP;unicast;client_port=5000-5001"), raw(Profile::Raw, 5000));
    let granted = |profile| Transport::raw_reply(profile, 5000, 6970);
    assert_eq!(granted(Profile::H2221), "MP2T/H2221/UDP;unicast;client_port=5000;server_port=6970");
    assert_eq!(granted(Profile::Raw), "RAW/RAW/UDP;unicast;client_port=5000;server_port=6970");
}

#[test]
fn a_group_is_asked_for_and_granted_as_a_whole() {
    for header in [
        "RTP/AVP;multicast",
        "RTP/AVP/UDP;multicast;mode=play",
        "RTP/AVP;multicast;destination=224.2.0.1;client_port=3456-3457;ttl=16",
    ] {
        let delivery = Delivery::Multicast;
        assert_eq!(parse(header), Ok(Transport { profile: Profile::Avp, delivery }), "{header}");
    }
    let granted = Transport::multicast_reply(Profile::Avp, [239, 2, 2, 2].into(), (5000, 5001), 4);
    assert_eq!(granted, "RTP/AVP;multicast;destination=239.2.2.2;port=5000-5001;ttl=4;mode=\"PLAY\"");
}

#[test]
fn what_is_understood_and_not_served_gives_way_to_the_next() {
    let header = "MP2T/RTP/TCP;interleaved=0-1,RAW/RAW/UDP;client_port=8,RTP/AVP;client_port=8-9";
    let is_rtp = |asked: &Transport| !matches!(asked.delivery, Delivery::Raw { .. });
    assert_eq!(parse(header), raw(Profile::Raw, 8));
    assert_eq!(super::parse(header, is_rtp), udp(8, 9));
    assert_eq!(super::parse(header, |_| false), Err(Refused::Unsupported));
}

#[test]
fn the_first_that_can_be_served_wins() {
    let header = "RAW/RAW/UDP;unicast,RTP/AVP;multicast,RTP/SAVP;unicast;client_port=1-2,RTP/AVP/TCP;mode=\"PLAY,x\",\
                  RTP/AVP/TCP;interleaved=4-5,RTP/AVP;unicast;client_port=5000-5001";
    let is_unicast = |asked: &Transport| asked.delivery != Delivery::Multicast;
    assert_eq!(super::parse(header, is_unicast), tcp(Some((4, 5))));
    assert_eq!(parse("RTP/AVP;client_port=x,RTP/AVP;client_port=8-9"), udp(8, 9));
}

#[test]
fn the_profile_with_feedback_is_served_and_repeated() {
    let asked = parse("RTP/AVPF/UDP;unicast;client_port=5000-5001").expect("served");
    assert_eq!(asked.profile, Profile::Avpf);
    let granted = Transport::udp_reply(asked.profile, (5000, 5001), (6970, 6971));
    assert_eq!(granted, "RTP/AVPF;unicast;client_port=5000-5001;server_port=6970-6971;mode=\"PLAY\"");
}

#[test]
fn what_is_not_served_is_461_and_what_is_no_transport_is_400() {
    for header in [
        "RTP/AVP/TCP;multicast;interleaved=0-1",
        "RTP/AVP;multicast;mode=record",
        "RTP/AVP",
        "RTP/AVP;unicast",
        "RTP/AVP;unicast;client_port=5000-5001;mode=record",
        "RTP/AVP/TCP;interleaved=0-1;mode=\"RECORD\"",
        "RTP/SAVP;unicast;client_port=5000-5001",
        "RTP/AVP/SCTP;unicast;client_port=5000-5001",
        "MP2T/H2221/UDP;unicast",
        "MP2T/H2221/TCP;unicast;interleaved=0-1",
        "RAW/RAW/UDP;unicast;interleaved=0-1",
        "RAW/RAW/UDP;multicast;client_port=5000",
        "MP2T/UDP;unicast;client_port=5000",
    ] {
        assert_eq!(parse(header).map_err(|refused| u16::from(refused.status())), Err(461), "{header}");
    }
    for header in [
        "",
        ";;;",
        "RTP",
        "RTP/AVP;client_port=",
        "RTP/AVP;client_port=0-1",
        "RTP/AVP;client_port=65535",
        "RTP/AVP;client_port=70000-70001",
        "RTP/AVP/TCP;interleaved=255",
        "RTP/AVP/TCP;interleaved=3-3",
        "RTP/AVP/TCP;interleaved=0-256",
    ] {
        assert_eq!(parse(header).map_err(|refused| u16::from(refused.status())), Err(400), "{header}");
    }
}

#[test]
fn granting_repeats_and_adds() {
    assert_eq!(
        Transport::udp_reply(Profile::Avp, (5000, 5001), (6970, 6971)),
        "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971;mode=\"PLAY\""
    );
    assert_eq!(
        Transport::interleaved_reply(Profile::Avp, (0, 1)),
        "RTP/AVP/TCP;unicast;interleaved=0-1;mode=\"PLAY\""
    );
}

proptest! {
    #[test]
    fn hostile_text_never_panics(header in "(RTP/AVP(/TCP)?)?[;,=\" a-z0-9/_-]{0,60}") {
        fuzz::transport::exercise(header.as_bytes());
    }

    #[test]
    fn any_text_never_panics(header in any::<String>()) {
        fuzz::transport::exercise(header.as_bytes());
    }
}
