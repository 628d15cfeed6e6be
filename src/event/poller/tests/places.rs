//! Which table a descriptor gets its place in.

use super::*;

#[test]
fn tables_open_when_full_fill_evenly_and_retire_when_empty() {
    let rig = Rig::new(2);
    let keys: Vec<_> = (0..5).map(|_| rig.idle(Class::Media)).collect();
    assert_eq!(rig.populations(Class::Media), [2, 2, 1]);
    assert_eq!(rig.populations(Class::Control), [0; 0]);
    let _control = rig.idle(Class::Control);
    assert_eq!(rig.populations(Class::Control), [1], "classes share no table");

    keys[0].unregister();
    keys[1].unregister();
    keys[1].unregister();
    let mut left = rig.populations(Class::Media);
    left.sort_unstable();
    assert_eq!(left, [1, 2], "the empty table is gone");
    let _one_more = rig.idle(Class::Media);
    assert_eq!(rig.populations(Class::Media), [2, 2], "the least populated table gets it");

    keys[2..].iter().for_each(PollKey::unregister);
    assert_eq!(rig.populations(Class::Media).len(), 1, "the last of its class stays");
    rig.stop();
}

#[test]
fn media_gets_tables_of_its_own_before_it_shares_them() {
    let rig = Rig::spread(4, 3);
    let keys: Vec<_> = (0..5).map(|_| rig.idle(Class::Media)).collect();
    assert_eq!(rig.populations(Class::Media), [2, 2, 1]);
    let _control = [rig.idle(Class::Control), rig.idle(Class::Control)];
    assert_eq!(rig.populations(Class::Control), [2], "control shares at once");

    keys[2].unregister();
    assert_eq!(rig.populations(Class::Media), [2, 2, 0], "it stays for the next one");
    let _next = rig.idle(Class::Media);
    assert_eq!(rig.populations(Class::Media), [2, 2, 1]);
    let _more: Vec<_> = (0..7).map(|_| rig.idle(Class::Media)).collect();
    assert_eq!(rig.populations(Class::Media), [4, 4, 4]);
    rig.idle(Class::Media).unregister();
    assert_eq!(rig.populations(Class::Media), [4, 4, 4], "one more table opened, and is gone");
    rig.stop();
}

#[test]
fn a_descriptor_beside_another_one_is_in_its_table_though_that_is_full() {
    let rig = Rig::spread(1, 2);
    let (_other, socket) = (rig.idle(Class::Media), rig.idle(Class::Media));
    let timer = rig.beside(&socket).expect("its table is open");
    assert_eq!(rig.populations(Class::Media), [1, 2]);
    timer.enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("beside"));
    socket.unregister();
    timer.unregister();
    assert_eq!(rig.populations(Class::Media), [1, 0]);
    rig.stop();
}

#[test]
fn nothing_comes_beside_a_descriptor_whose_table_has_gone() {
    let rig = Rig::new(1);
    let (_stays, gone) = (rig.idle(Class::Media), rig.idle(Class::Media));
    gone.unregister();
    rig.beside(&gone).expect_err("its table is gone");
    assert_eq!(rig.populations(Class::Media), [1]);
    rig.stop();
}

#[test]
fn without_descriptors_for_another_table_a_full_one_takes_more() {
    let name = "event::poller::tests::places::without_descriptors_for_another_table_a_full_one_takes_more";
    in_a_process_of_its_own(name, || {
        let rig = Rig::new(1);
        rig.idle(Class::Media);
        let consumer = || Arc::new(Consumer { name: "more", does: Does::Wait, said: rig.sender.clone() });
        let [more, other] = [descriptor(1), descriptor(1)];
        let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        let key = rig.poller.register(Class::Media, more, consumer()).expect("a place, if a full one");
        assert!(rig.poller.register(Class::Control, other, consumer()).is_err(), "there is no such table");
        drop(taken);
        key.enable(Interest::Read).expect("polled");
        assert_eq!((rig.next(), rig.populations(Class::Media)), (Said::Event("more"), vec![2]));
        rig.stop();
    });
}
