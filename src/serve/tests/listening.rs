//! The listening socket itself.

use super::*;
use crate::serve::listener::reason_of;
use crate::serve::stats::AcceptError;
use nix::errno::Errno;
use std::io;

#[test]
fn a_listening_socket_that_fails_for_good_is_opened_again() {
    let rig = Rig::new();
    let fail = || {
        let socket = rig.listener.socket().expect("open");
        socket2::SockRef::from(&*socket).shutdown(Shutdown::Both).expect("a listening socket");
    };
    fail();
    let began = clock::now();
    let mut client = loop {
        match TcpStream::connect(rig.listener.address()) {
            Ok(stream) => break Client::of(stream),
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    assert_eq!(client.status("OPTIONS *", ""), 200);
    assert!(rig.listener.is_open());
    assert_eq!(rig.poller.vitals().given_up(), None);

    fail();
    let taken = crate::net::listen(rig.listener.address()).expect("its port is free");
    let began = clock::now();
    while rig.poller.vitals().given_up().is_none() && began.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let reason = rig.poller.vitals().given_up().expect("a program that nobody can reach ends");
    assert!(reason.starts_with("listener: "), "{reason}");
    assert!(!rig.listener.is_open(), "which is told before that, too");
    drop(taken);
    rig.stop();
}

#[test]
fn what_keeps_connections_from_being_accepted_is_told_apart() {
    for (error, reason) in [
        (Errno::EMFILE, AcceptError::Descriptors),
        (Errno::ENFILE, AcceptError::Descriptors),
        (Errno::ENOBUFS, AcceptError::Memory),
        (Errno::ENOMEM, AcceptError::Memory),
        (Errno::ECONNABORTED, AcceptError::Connection),
        (Errno::EPERM, AcceptError::Connection),
        (Errno::EHOSTUNREACH, AcceptError::Connection),
        (Errno::EINVAL, AcceptError::Other),
    ] {
        assert_eq!(reason_of(&error.into()), reason, "{error}");
    }
    assert_eq!(reason_of(&io::ErrorKind::NotConnected.into()), AcceptError::Other);
}
