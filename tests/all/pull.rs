//! Channels that are pulled from other servers: from a program like this one, from others, and from one that lies.

use std::fs;
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;
use mirrorball::serve::{Scope, Users, write_users};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::vocabulary::{Connection, Mirrorball, Over, Setup, Source, Viewer, eventually, sender_report};

const STATE: &str = "mirrorball_pull_state";
const SECOND: Duration = Duration::from_secs(1);

/// A program that pulls `news` from another one.
fn below(upstream: &Mirrorball, lines: &[&str]) -> Mirrorball {
    pulling(&upstream.url("news"), lines)
}

fn pulling(url: &str, lines: &[&str]) -> Mirrorball {
    let setup = Setup::new().channel_by_route("news", url);
    lines.iter().fold(setup, |setup, line| setup.channel_line(line)).start()
}

fn expect_state(mirrorball: &Mirrorball, state: &str) {
    mirrorball.expect_metric(STATE, &[("channel", "news"), ("state", state)], 1.0);
}

#[test]
fn a_chain_over_tcp_hands_on_every_packet_as_it_is() {
    let mut source = Source::new();
    let upstream = Setup::new().channel("news", source.group).start();
    let middle = below(&upstream, &[]);
    let lower = below(&middle, &[]);
    expect_state(&lower, "playing");
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&lower, "news", over));
    for _ in 0..20 {
        let first = source.next;
        source.send(40);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, first..first + 40));
    }
    source.send_rtcp(&sender_report(source.ssrc, 0));
    viewers.iter_mut().for_each(|viewer| drop(viewer.rtcp()));
    let sent = source.next as f64;
    for each in [&upstream, &middle, &lower] {
        each.expect_metric("mirrorball_channel_packets_total", &[("channel", "news")], sent);
        each.expect_metric("mirrorball_channel_lost_total", &[("channel", "news")], 0.0);
    }
    let sessions = [("transport", "tcp")];
    middle.expect_metric("mirrorball_viewers", &sessions, 1.0);
    assert_eq!(
        lower.metric("mirrorball_pull_connects_total", &[("channel", "news")]),
        1.0,
        "however many watch"
    );
}
