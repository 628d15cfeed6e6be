//! How sessions live and end: silence, signs of life, goodbyes, and who is who on a shared port.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use mirrorball::event::clock;

use crate::conversation::one_channel;
use crate::vocabulary::{Over, Setup, Source, Stamp, Viewer, bye, eventually, receiver_report, report};

const ENDED: &str = "mirrorball_sessions_ended_total";

#[test]
fn a_silent_session_ends_audibly_and_one_that_shows_signs_of_life_does_not() {
    let source = Source::new();
    let (ssrc, programme) = (source.ssrc, source.programme);
    let mirrorball = Setup::new().channel("news", source.group).rtsp("session_timeout = \"3s\"").start();
    let beam = source.beam(50);
    let mut kept = ["PLAY", "GET_PARAMETER", "OPTIONS"].map(|how| {
        let viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
        (viewer, how)
    });
    let mut reporting = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    let mut recorder = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let mut silent = Viewer::playing(&mirrorball, "news", Over::Udp);
    mirrorball.expect_metric("mirrorball_sessions", &[], 7.0);

    // Longer than three timeouts, and long enough for the silent to be gone.
    let (began, mut last_words, mut closed) = (clock::now(), Some(ssrc), false);
    while began.elapsed() < Duration::from_secs(10) {
        for (viewer, how) in &mut kept {
            let reply = match *how {
                "OPTIONS" => viewer.connection.request("OPTIONS", "*", &[]), // names no session, and is of its connection's
                how => viewer.request(how),
            };
            reply.expect(200);
        }
        reporting.iter_mut().for_each(|viewer| viewer.report_on(ssrc));
        (0..15).for_each(|_| assert_eq!(recorder.stamp().programme, programme)); // 300 ms
        // It is silent from then on, while its connection was before.
        if began.elapsed() > Duration::from_secs(1)
            && let Some(ssrc) = last_words.take()
        {
            silent.report_on(ssrc);
        }
        if !closed && mirrorball.metric(ENDED, &[("reason", "timeout")]) == 1.0 {
            closed = silent.connection.is_closed_within(Duration::from_secs(1));
            assert!(closed, "with its session: it may come back by itself");
        }
    }
    mirrorball.expect_metric(ENDED, &[("reason", "timeout")], 1.0);
    mirrorball.expect_metric("mirrorball_sessions", &[], 6.0);
    let farewell = silent.rtcp();
    let goodbye = [&[203][..], &[0, 5], &ssrc.to_be_bytes(), b"\x0fno sign of life"].concat();
    assert!(farewell.windows(goodbye.len()).any(|part| part == goodbye), "{farewell:?}");
    let at = beam.sent();
    let stay = kept.iter_mut().map(|(viewer, _)| viewer).chain(&mut reporting).chain([&mut recorder]);
    for viewer in stay {
        let mut stamp = viewer.stamp();
        while stamp.number < at {
            stamp = viewer.stamp();
        }
        assert_eq!(stamp.programme, programme);
    }
    beam.stop();
}

#[test]
fn sessions_outlive_a_silent_source_and_their_time_begins_anew_when_it_returns() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).rtsp("session_timeout = \"2s\"").start();
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    source.send(3);
    viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..3));
    // Three timeouts: what is waited for is that nothing happens.
    thread::sleep(Duration::from_millis(6500));
    let returned = clock::now();
    source.begin_anew();
    source.send(3);
    viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 3..6));
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    let beam = source.beam(20);
    mirrorball.expect_metric(ENDED, &[("reason", "timeout")], 1.0);
    assert!(returned.elapsed() > Duration::from_millis(1900), "a viewer has its time again");
    mirrorball.expect_metric("mirrorball_channel_subscribers", &[("transport", "tcp")], 1.0);
    beam.stop();
}

#[test]
fn a_session_ends_with_its_connection() {
    for over in [Over::Udp, Over::Tcp] {
        let mut source = Source::new();
        let mirrorball = Setup::new().channel("news", source.group).rtsp("close_grace = \"0s\"").start();
        let mut stays = Viewer::playing(&mirrorball, "news", over);
        Viewer::playing(&mirrorball, "news", over).vanish();
        mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
        mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 1.0);
        source.send(3);
        stays.expect_packets(&source, 0..3);
    }
}

#[test]
fn a_goodbye_by_rtcp_is_obeyed() {
    for over in [Over::Udp, Over::Tcp] {
        let (mut source, mirrorball) = one_channel();
        let mut leaves = Viewer::playing(&mirrorball, "news", over);
        let mut stays = Viewer::playing(&mirrorball, "news", over);
        source.send(1);
        leaves.expect_packets(&source, 0..1);
        leaves.say_bye_to(source.ssrc);
        mirrorball.expect_metric(ENDED, &[("reason", "goodbye")], 1.0);
        mirrorball.expect_logged("reason=\"goodbye\"", 1); // though the connection stays, and asks for nothing
        source.send(3);
        stays.expect_packets(&source, 0..4);
        leaves.expect_silence();
    }
}

#[test]
fn strangers_at_the_rtcp_port_are_counted_and_heard_no_further() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let goodbye = [receiver_report(), bye(0x7e57)].concat();
    for _ in 0..3 {
        stranger.send_to(&goodbye, viewer.server_rtcp()).expect("lo takes packets");
    }
    mirrorball.expect_metric("mirrorball_rtcp_strangers_total", &[], 3.0);
    viewer.report();
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
}

/// What comes from a viewer's address and port, but not under what it is known by.
#[test]
fn forged_reports_and_goodbyes_neither_end_a_session_nor_prolong_it() {
    let source = Source::new();
    let ssrc = source.ssrc;
    let mirrorball = Setup::new().channel("news", source.group).rtsp("session_timeout = \"4s\"").start();
    let beam = source.beam(20);
    let mut viewers = [Over::Udp, Over::Tcp].map(|over| Viewer::playing(&mirrorball, "news", over));
    let forged =
        [bye(0x666), [report(0x666, &[]), bye(0x666)].concat(), report(0x666, &[0x667]), report(0x666, &[])];
    let refused =
        |reason| mirrorball.metric("mirrorball_drops_total", &[("leg", "reports"), ("reason", reason)]);
    for viewer in &mut viewers {
        viewer.stamp();
        viewer.report_on(ssrc);
        forged.iter().for_each(|packet| viewer.send_rtcp(0, packet));
    }
    eventually("all are refused", || (refused("ssrc") + refused("goodbye") == 8.0).then_some(()));
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    eventually("the session over UDP ends in time, which forged reports do not stop", || {
        viewers[0].send_rtcp(0, &forged[3]);
        (mirrorball.metric(ENDED, &[("reason", "timeout")]) == 1.0).then_some(())
    });
    mirrorball.expect_metric("mirrorball_sessions", &[], 1.0);
    beam.stop();
}

#[test]
fn a_client_port_that_is_taken_gets_the_next_pair_of_server_ports() {
    let (mut source, mirrorball) = one_channel();
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (rtp, rtcp) = (bind(), bind());
    let share = |socket: &UdpSocket| socket.try_clone().expect("a descriptor");
    let mut viewers = [(), (), ()].map(|()| {
        let mut viewer = Viewer::of(&mirrorball, "news");
        viewer.set_up_at(1, share(&rtp), share(&rtcp));
        viewer.play();
        viewer
    });
    let servers = viewers.each_ref().map(Viewer::server_rtp);
    assert!(servers[0] != servers[1] && servers[1] != servers[2] && servers[0] != servers[2], "{servers:?}");

    let heard_from = |source: &mut Source, viewers: &[&Viewer]| {
        source.send(4);
        let mut heard = vec![0; viewers.len()];
        let mut buffer = [0; 2048];
        rtp.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        for _ in 0..4 * viewers.len() {
            let (length, from) = rtp.recv_from(&mut buffer).expect("a packet for each viewer");
            let place =
                viewers.iter().position(|viewer| viewer.server_rtp() == from).expect("of one of these");
            let stamp = Stamp::read(&buffer[..length]).expect("a whole packet");
            assert_eq!(stamp.number, source.next - 4 + heard[place], "in order for each");
            heard[place] += 1;
        }
    };
    heard_from(&mut source, &viewers.each_ref());

    // Reports are told apart by the server's port as well: a goodbye is of one viewer alone.
    viewers[1].say_bye_to(source.ssrc);
    mirrorball.expect_metric("mirrorball_sessions", &[], 2.0);
    heard_from(&mut source, &[&viewers[0], &viewers[2]]);
    // Which is so once no packet can be under way there any more.
    eventually("the place is free again", || {
        let mut returned = Viewer::of(&mirrorball, "news");
        returned.set_up_at(1, share(&rtp), share(&rtcp));
        (returned.server_rtp() == servers[1]).then_some(())
    });
}

#[test]
fn what_viewers_report_is_what_operators_see() {
    let (mut source, mirrorball) = one_channel();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(1);
    viewer.expect_packets(&source, 0..1);
    let mut report = vec![0x81, 201, 0, 7, 0, 0, 0x7e, 0x57];
    report.extend(source.ssrc.to_be_bytes());
    report.extend([64, 0, 0, 9, 0, 0, 0, 1]); // a quarter lost
    report.extend(9000_u32.to_be_bytes()); // jitter: a tenth of a second at 90 kHz
    report.extend([0; 8]);
    viewer.send_rtcp(0, &report);
    mirrorball.expect_metric("mirrorball_reported_loss_ratio", &[("channel", "news")], 0.25);
    mirrorball.expect_metric("mirrorball_reported_jitter_seconds", &[("channel", "news")], 0.1);
}
