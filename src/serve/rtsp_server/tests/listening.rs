//! The listening socket itself.

use super::*;

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
            Ok(stream) => break Client { stream, cseq: 0 },
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    assert_eq!(client.status("OPTIONS *", ""), 200);
    assert_eq!(rig.poller.vitals().given_up(), None);

    fail();
    let taken = crate::net::listen(rig.listener.address()).expect("its port is free");
    let began = clock::now();
    while rig.poller.vitals().given_up().is_none() && began.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let reason = rig.poller.vitals().given_up().expect("a program that nobody can reach ends");
    assert!(reason.starts_with("listener: "), "{reason}");
    drop(taken);
    rig.stop();
}
