//! What a session goes through, and what is left of it.

use super::*;
use crate::relay::Carriage;

#[test]
fn a_session_goes_through_its_states() {
    let rig = Rig::new();
    let mut client = rig.client();
    let id = client.set_up(NEWS, None);
    let session = format!("Session: {id}\r\n");
    let news = |method: &str| format!("{method} {NEWS}");
    assert_eq!(client.status(&news("PAUSE"), &session), 455, "it does not play");
    assert_eq!(client.status(&news("PLAY"), &format!("{session}Range: npt=soon-\r\n")), 400);
    assert_eq!(client.status(&news("PLAY"), &format!("{session}Range: npt=10-20\r\n")), 200, "live is now");
    assert_eq!(client.status(&news("SETUP"), &format!("{session}{TCP}")), 200, "it plays on");
    assert_eq!(client.status(&news("PLAY"), &session), 200);
    assert_eq!(client.status(&news("GET_PARAMETER"), &session), 200);
    assert_eq!(client.status(&news("PAUSE"), &session), 200);
    assert_eq!(client.status("PLAY rtsp://edge/duo", &session), 454, "it is not of that channel");
    assert_eq!(client.status("TEARDOWN rtsp://edge/duo", &session), 454);
    assert_eq!(rig.server.stats().sessions, 1);
    assert_eq!(client.status(&news("TEARDOWN"), &session), 200);
    assert_eq!(client.status(&news("PLAY"), &session), 454);
    let stats = rig.server.stats();
    assert_eq!((stats.sessions, stats.sessions_ended["teardown"]), (0, 1));
    rig.stop();
}

#[test]
fn a_session_that_plays_outlives_silence_of_its_source_and_one_that_does_not_does_not() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let (mut waits, mut plays) = (rig.client(), rig.client());
    waits.set_up(NEWS, None);
    let began = clock::now();
    let session = plays.set_up(NEWS, None);
    assert_eq!(plays.status(&format!("PLAY {NEWS}"), &format!("Session: {session}\r\n")), 200);
    assert_eq!(waits.stream.read(&mut [0]).expect("an end"), 0);
    assert_eq!(rig.server.stats().sessions, 1, "who only set up is let go, and the connection too");
    assert_eq!(plays.stream.read(&mut [0]).expect("an end"), 0, "who plays in time");
    assert!(began.elapsed() > Duration::from_millis(3900), "after the longest silence");
    assert_eq!(rig.server.stats().sessions_ended["timeout"], 2);
    rig.stop();
}

#[test]
fn who_pauses_has_the_time_of_who_only_set_up() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let mut pauses = rig.client();
    let session = format!("Session: {}\r\n", pauses.set_up(NEWS, None));
    assert_eq!(pauses.status(&format!("PLAY {NEWS}"), &session), 200);
    assert_eq!(pauses.status(&format!("PAUSE {NEWS}"), &session), 200);
    let paused = clock::now();
    assert_eq!(pauses.stream.read(&mut [0]).expect("an end"), 0);
    assert!(paused.elapsed() < Duration::from_secs(3), "that its source is silent is nothing to it");
    assert_eq!(rig.server.stats().sessions_ended["timeout"], 1);
    rig.stop();
}

#[test]
fn a_session_that_times_out_leaves_the_connection_to_another() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let mut client = rig.client();
    client.set_up(NEWS, None);
    let lives = client.set_up(NEWS, None);
    let lives = format!("Session: {lives}\r\n");
    // What names a session comes by another connection: on its own it would be a sign of both.
    let mut other = rig.client();
    while rig.server.stats().sessions == 2 {
        assert_eq!(other.status("GET_PARAMETER *", &lives), 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.status("GET_PARAMETER *", &lives), 200, "the connection is there");
    rig.stop();
}

#[test]
fn a_session_is_controlled_from_another_connection_but_not_moved_there() {
    let rig = Rig::new();
    let (mut own, mut other) = (rig.client(), rig.client());
    let id = own.set_up("rtsp://edge/duo/trackID=1", None);
    let session = format!("Session: {id}\r\n");
    assert_eq!(other.status("GET_PARAMETER rtsp://edge/duo", &session), 200);
    let moved = other.status("SETUP rtsp://edge/duo/trackID=2", &format!("{session}{TCP}"));
    assert_eq!(moved, 461, "its channels are those of the first connection");
    assert_eq!(other.status("TEARDOWN rtsp://edge/duo", &session), 200);
    rig.stop();
}

#[test]
fn sessions_that_another_connection_ends_leave_nothing_behind() {
    let rig = Rig::new();
    let (mut sets_up, mut tears_down) = (rig.client(), rig.client());
    for _ in 0..50 {
        let id = sets_up.set_up(NEWS, None);
        let session = rig.server.sessions.all().pop().expect("just set up");
        let dead = Arc::downgrade(&session);
        drop(session);
        assert_eq!(tears_down.status(&format!("TEARDOWN {NEWS}"), &format!("Session: {id}\r\n")), 200);
        let next = sets_up.set_up(NEWS, None);
        assert!(dead.upgrade().is_none(), "the connection that set it up has let it go");
        assert_eq!(sets_up.status(&format!("TEARDOWN {NEWS}"), &format!("Session: {next}\r\n")), 200);
    }
    rig.stop();
}

#[test]
fn sessions_that_others_end_are_kept_by_no_connection() {
    let rig = Rig::new();
    let (mut own, mut other) = (rig.client(), rig.client());
    let mut known = Vec::new();
    for _ in 0..50 {
        let session = format!("Session: {}\r\n", own.set_up(NEWS, None));
        known.push(Arc::downgrade(&rig.server.sessions.all()[0]));
        assert_eq!(other.status(&format!("TEARDOWN {NEWS}"), &session), 200);
    }
    assert_eq!(own.status("OPTIONS *", ""), 200, "and the one before is done");
    let kept = known.iter().filter(|session| session.strong_count() > 0).count();
    assert!(kept <= 1, "{kept} sessions that have ended are kept");
    rig.stop();
}

#[test]
fn sessions_end_with_their_connection_and_keep_no_timer_waiting() {
    let rig = Rig::new();
    for _ in 0..5 {
        let mut client = rig.client();
        client.set_up(NEWS, None);
        client.stream.shutdown(std::net::Shutdown::Write).expect("open");
        let mut rest = Vec::new();
        client.stream.read_to_end(&mut rest).expect("an end");
    }
    // The connection is closed after its sessions; its figures follow.
    let began = clock::now();
    while rig.server.stats().all_connections() > 0 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    let stats = rig.server.stats();
    assert_eq!(
        (stats.sessions, stats.all_connections(), stats.sessions_ended["connection closed"]),
        (0, 0, 5)
    );
    assert!(rig.server.timers.is_empty());
    rig.stop();
}

#[test]
fn a_session_that_ends_as_it_is_played_leaves_no_viewer() {
    let rig = Rig::new();
    let channel = rig.server.catalogue.find("news").expect("a channel").clone();
    let mut client = rig.client();
    for _ in 0..500 {
        client.set_up(NEWS, None);
        let session = rig.server.sessions.all().pop().expect("a session");
        let plan = session.plan(clock::now());
        let together = Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                together.wait();
                (0..20).for_each(|_| session.play(&plan, None, clock::now()));
            });
            together.wait();
            rig.server.sessions.end(&session, "teardown", clock::now());
        });
        assert!(!session.is_playing(), "it has ended");
        assert_eq!(channel.audience.by(Carriage::Tcp), 0);
    }
    rig.stop();
}

/// Nobody would watch over it any more, and it would be there for ever.
#[test]
fn a_fault_of_a_watch_ends_the_session_or_connection_that_it_watched_and_no_other() {
    let rig = Rig::patient_for(Duration::from_secs(9));
    let (mut first, mut second, mut stays) = (rig.client(), rig.client(), rig.client());
    let id = first.set_up(NEWS, None);
    second.status("OPTIONS *", "");
    let kept = format!("Session: {}\r\n", stays.set_up(NEWS, None));
    let vitals = rig.poller.vitals();
    vitals.provoke("session", &id);
    vitals.provoke("connection watch", &second.stream.local_addr().expect("bound").to_string());
    first.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
    let began = clock::now();
    while !matches!(first.stream.read(&mut [0]), Ok(0)) {
        assert!(began.elapsed() < Duration::from_secs(8), "it ends, and long before its time");
        assert_eq!(stays.status("GET_PARAMETER *", &kept), 200);
    }
    assert_eq!(rig.server.stats().sessions_ended["fault"], 1);
    drop(first);
    second.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket");
    while !matches!(second.stream.read(&mut [0]), Ok(0)) {
        assert!(began.elapsed() < Duration::from_secs(20), "it is closed");
        assert_eq!(stays.status("GET_PARAMETER *", &kept), 200);
    }
    assert_eq!((rig.queue.stats().panics, vitals.is_provoked()), (2, false));
    assert!(rig.server.stats().connections_cut.iter().all(|(_, cut)| *cut == 0), "for nothing it did");
    assert_eq!(stays.status("GET_PARAMETER *", &kept), 200);
    rig.stop();
}

#[test]
fn who_asks_and_waits_for_its_turn_is_not_taken_for_silent() {
    let rig = Rig::patient_for(Duration::from_secs(1));
    let (mut asks, mut silent) = (rig.client(), rig.client());
    let began = clock::now();
    while rig.server.stats().all_connections() < 2 && began.elapsed() < Duration::from_secs(20) {
        std::thread::yield_now();
    }
    let account = rig.server.addresses.account(Ipv4Addr::LOCALHOST.into());
    account.turns.take_all();
    asks.stream.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("sent");
    assert_eq!(silent.stream.read(&mut [0]).expect("an end"), 0, "after its time");
    let next = account.turns.over().expect("one that waits, and is there");
    rig.queue.push(crate::event::Task::new("RtspTask", next));
    assert_eq!(asks.read().status, 200);
    assert!(rig.server.stats().connections_cut.contains(&("silent", 1)));
    drop(account);
    rig.stop();
}
