//! Which status answers what.

use super::*;

#[test]
fn each_wrong_request_has_its_status() {
    let rig = Rig::new();
    let mut client = rig.client();
    for (line, headers, status) in [
        ("OPTIONS *", "", 200),
        ("OPTIONS rtsp://edge/news", "", 200),
        ("OPTIONS rtsp://edge/news", "Session: none\r\n", 454),
        ("OPTIONS rtsp://edge/news", "Require: magic\r\n", 551),
        ("DESCRIBE rtsp://edge/news", "Accept: application/sdp\r\n", 200),
        ("DESCRIBE rtsp://edge/news.sdp", "", 200),
        ("DESCRIBE rtsp://edge/nothing", "", 404),
        ("DESCRIBE rtsp://edge/news/trackID=2", "", 404),
        ("DESCRIBE rtsp://edge/news", "Accept: text/html\r\n", 406),
        ("DESCRIBE rtsp://edge/news", "Via: RTSP/1.0 mirrorball-7, RTSP/1.0 mirrorball-c0ffee\r\n", 482),
        ("DESCRIBE rtsp://edge/news", "Via: RTSP/1.0 c0ffee, RTSP/1.0 mirrorball-8\r\n", 200),
        ("DESCRIBE http://edge/news", "", 400),
        ("SETUP rtsp://edge/duo", TCP, 459),
        ("SETUP rtsp://edge/news", "", 400),
        ("SETUP rtsp://edge/news", "Transport: nonsense\r\n", 400),
        ("SETUP rtsp://edge/news", "Transport: RTP/AVP;multicast\r\n", 461),
        ("SETUP rtsp://edge/news", "Transport: RTP/AVP/TCP\r\nSession: none\r\n", 454),
        ("PLAY rtsp://edge/news", "", 454),
        ("PAUSE rtsp://edge/news", "Session: none\r\n", 454),
        ("TEARDOWN rtsp://edge/news", "Session: none\r\n", 454),
        ("GET_PARAMETER *", "", 200),
        ("SET_PARAMETER rtsp://edge/news", "", 200),
        ("RECORD rtsp://edge/news", "", 405),
        ("ANNOUNCE rtsp://edge/nothing", "", 404),
        ("DANCE rtsp://edge/news", "", 501),
    ] {
        assert_eq!(client.status(line, headers), status, "{line} {headers}");
    }
    assert_eq!(rig.server.stats().sessions, 0, "what was refused holds nothing");
    rig.stop();
}

#[test]
fn what_clients_ask_beside_the_matter_is_answered() {
    let rig = Rig::new();
    let mut client = rig.client();
    let asked = client.ask("OPTIONS rtsp://user:word@edge/news", "Timestamp: 3.25\r\n");
    assert!(
        asked.head.contains("\r\nTimestamp: 3.25\r\n") && asked.head.contains("\r\nDate: "),
        "{}",
        asked.head
    );
    let described = client.ask("DESCRIBE rtsp://user:word@edge/duo/trackID=2", "");
    assert!(described.head.contains("Content-Base: rtsp://edge/duo/\r\n"), "{}", described.head);
    let id = client.set_up(NEWS, None);
    let session = format!("Session: {id}\r\n");
    let played = client.ask(&format!("PLAY {NEWS}"), &format!("{session}Scale: 2.0\r\nSpeed: 3\r\n"));
    assert!(
        played.head.contains("\r\nScale: 1\r\n") && played.head.contains("\r\nSpeed: 1\r\n"),
        "{}",
        played.head
    );
    assert_eq!(client.status(&format!("SET_PARAMETER {NEWS}"), &session), 200, "a sign of life");
    for server in ["*", "rtsp://edge", "rtsp://edge:8554/"] {
        assert_eq!(client.status(&format!("TEARDOWN {server}"), "Session: none\r\n"), 454);
        let id = client.set_up(NEWS, None);
        assert_eq!(client.status(&format!("TEARDOWN {server}"), &format!("Session: {id}\r\n")), 200);
    }
    assert_eq!(client.status("TEARDOWN *", &session), 200);
    assert_eq!(rig.server.stats().sessions, 0);
    rig.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order_and_noise_ends_the_connection() {
    let rig = Rig::new();
    let mut client = rig.client();
    let requests: String =
        (1..=20).map(|cseq| format!("OPTIONS * RTSP/1.0\r\nCSeq: {cseq}\r\n\r\n")).collect();
    client.stream.write_all(requests.as_bytes()).expect("sent");
    client.stream.write_all(b"\x16\x03\x01\x02\x00\x01").expect("sent");
    for cseq in 1..=20 {
        assert_eq!(client.read().header("CSeq"), Some(cseq.to_string().as_str()));
    }
    assert_eq!(client.read().status, 400);
    assert_eq!(client.stream.read(&mut [0]).expect("an end"), 0);
    rig.stop();
}

#[test]
fn tracks_are_set_up_one_by_one_and_played_together() {
    let rig = Rig::new();
    let mut client = rig.client();
    let id = client.set_up("rtsp://edge/duo/trackID=1", None);
    assert_eq!(client.set_up("rtsp://edge/duo/trackID=2", Some(&id)), id);
    let session = format!("Session: {id}\r\n");
    assert_eq!(client.status("PLAY rtsp://edge/duo/trackID=1", &session), 460);
    assert_eq!(client.status("PLAY rtsp://edge/duo/", &session), 200);
    assert_eq!(client.status("TEARDOWN rtsp://edge/duo/trackID=1", &session), 200);
    assert_eq!(rig.server.stats().sessions, 1, "the other track plays on");
    assert_eq!(client.status("TEARDOWN rtsp://edge/duo/trackID=2", &session), 200);
    assert_eq!(rig.server.stats().sessions, 0);
    rig.stop();
}

#[test]
fn a_client_that_collides_gets_the_next_port_pair() {
    let rig = Rig::new();
    let (mut first, mut second) = (rig.client(), rig.client());
    let udp = "Transport: RTP/AVP;unicast;client_port=40000-40001\r\n";
    let ports = |client: &mut Client| {
        let answer = client.ask(&format!("SETUP {NEWS}"), udp);
        let transport = answer.header("Transport").expect("granted").to_owned();
        transport.split("server_port=").nth(1).expect("ports").split(';').next().map(str::to_owned)
    };
    assert_ne!(ports(&mut first), ports(&mut second));
    rig.stop();
}

#[test]
fn packets_go_to_no_port_of_a_well_known_service() {
    let rig = Rig::new();
    let mut client = rig.client();
    for ports in ["53-54", "1023-1024", "40000-123"] {
        let udp = format!("Transport: RTP/AVP;unicast;client_port={ports}\r\n");
        assert_eq!(client.status(&format!("SETUP {NEWS}"), &udp), 461, "{ports}");
    }
    let stats = rig.server.stats();
    let ended: u64 = stats.sessions_ended.values().sum();
    assert_eq!((stats.sessions, ended), (0, 0), "no session is begun for it");
    assert_eq!(stats.sessions_refused[..3], [("late", 0), ("limit", 0), ("port", 3)]);
    let lowest = "Transport: RTP/AVP;unicast;client_port=1024-1025\r\n";
    assert_eq!(client.status(&format!("SETUP {NEWS}"), lowest), 200);
    rig.stop();
}

#[test]
fn who_comes_while_media_stays_too_late_is_told_when_to_come_back() {
    let rig = Rig::new();
    let mut viewer = rig.client();
    let url = format!("rtsp://{}/news", rig.listener.address());
    let transport = "Transport: RTP/AVP;unicast;client_port=40000-40001\r\n";
    let session = viewer.ask(&format!("SETUP {url}/trackID=1"), transport).session();
    rig.server.lateness.observe(Leg::Udp, ROOMY.age, false, clock::now());
    let mut newcomer = rig.client();
    for line in [format!("DESCRIBE {url}"), format!("SETUP {url}/trackID=1")] {
        let refused = newcomer.ask(&line, transport);
        assert_eq!(refused.status, 503, "{}", refused.head);
        let seconds: u16 = refused.header("Retry-After").and_then(|s| s.parse().ok()).expect("seconds");
        assert!((3..11).contains(&seconds), "{seconds}");
    }
    let played = viewer.ask(&format!("PLAY {url}"), &format!("Session: {session}\r\n"));
    assert_eq!(played.status, 200, "who is there plays on: {}", played.head);
    assert_eq!(rig.server.stats().sessions_refused[..3], [("late", 2), ("limit", 0), ("port", 0)]);
    rig.stop();
}
