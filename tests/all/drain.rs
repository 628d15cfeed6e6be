//! An edge is taken out: nobody new is taken in, who is there stays for a while, and nobody is cut off without a word.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::vocabulary::{Connection, Mirrorball, Over, Reply, Setup, Source, Viewer};

const ELSEWHERE: &str = "redirect = \"rtsp://other.example:8554\"";

fn draining(lines: &str) -> (Source, Mirrorball, Viewer) {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).section("limits", lines).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    source.send(5);
    viewer.expect_packets(&source, 0..5);
    mirrorball.signal(Signal::SIGUSR1);
    let why = mirrorball.expect_page("/ready", 503);
    assert_eq!(why, "not ready: draining\n");
    (source, mirrorball, viewer)
}

fn newcomer(mirrorball: &Mirrorball) -> Reply {
    Connection::open(mirrorball.rtsp).request("DESCRIBE", &mirrorball.url("news"), &[])
}

#[test]
fn who_is_there_plays_on_and_once_all_have_left_the_program_ends() {
    let (mut source, mut mirrorball, mut viewer) = draining("drain_timeout = \"1h\"");
    mirrorball.expect_metric("mirrorball_draining", &[], 1.0);
    mirrorball.expect_page("/live", 200);
    let refused = newcomer(&mirrorball).expect(503);
    assert!(refused.header("Retry-After").is_some());
    mirrorball.expect_metric("mirrorball_sessions_refused_total", &[("reason", "draining")], 1.0);
    source.send(20);
    viewer.expect_packets(&source, 5..25);
    // Who is there may come and go: it is no newcomer.
    viewer.request("PAUSE").expect(200);
    viewer.play();
    source.send(5);
    while viewer.stamp().number < 29 {}
    viewer.teardown();
    assert!(mirrorball.ended().is_some_and(|status| status.success()), "nobody is there");
    assert!(mirrorball.has_logged("drained: all have left"));
}

#[test]
fn newcomers_are_sent_elsewhere_at_once_and_who_is_there_in_the_end() {
    let lines = format!("drain_timeout = \"2s\"\n{ELSEWHERE}");
    let (_source, mut mirrorball, mut viewer) = draining(&lines);
    let sent = newcomer(&mirrorball).expect(302);
    assert_eq!(sent.header("Location"), Some("rtsp://other.example:8554/news"));
    let told = viewer.connection.all_until_closed(Duration::from_secs(10));
    let text = String::from_utf8_lossy(&told);
    let begins = text.find("REDIRECT rtsp://").unwrap_or_else(|| panic!("{text}"));
    let request = text[begins..].split("\r\n\r\n").next().unwrap_or_default();
    for line in ["Location: rtsp://other.example:8554/news", &format!("Session: {}", viewer.session)] {
        assert!(request.contains(line), "{request}");
    }
    let goodbye = b"the server is shutting down";
    assert!(told[begins..].windows(goodbye.len()).any(|part| part == goodbye), "and then goodbye");
    assert!(mirrorball.ended().is_some_and(|status| status.success()));
}

#[test]
fn a_second_wish_to_stop_is_obeyed_at_once() {
    let (_source, mut mirrorball, _viewer) = draining("drain_timeout = \"1h\"");
    mirrorball.signal(Signal::SIGTERM);
    assert!(mirrorball.ended().is_some_and(|status| status.success()));
}
