//! When a consumer hears of its descriptor, and what one that fails or hangs does to others.

use super::*;

#[test]
fn nothing_is_heard_before_enable() {
    let rig = Rig::new(8);
    let key = rig.ready("early", Does::Wait);
    rig.expect_nothing_else();
    key.enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("early"));
    rig.stop();
}

#[test]
fn a_descriptor_has_one_task_at_a_time() {
    let rig = Rig::new(8);
    let key = rig.ready("one", Does::Task);
    key.enable(Interest::Read).expect("polled");
    for _ in 0..3 {
        assert_eq!(rig.next(), Said::Event("one"));
        assert_eq!(rig.next(), Said::Ran("one"));
        rig.expect_nothing_else();
        key.resume(Interest::Read);
    }
    assert_eq!(rig.next(), Said::Event("one"));
    assert_eq!(rig.next(), Said::Ran("one"));
    rig.stop();
}

#[test]
fn a_consumer_that_is_done_at_once_is_polled_on() {
    let rig = Rig::new(8);
    let key = rig.ready("busy", Does::PollOn);
    key.enable(Interest::Read).expect("polled");
    for _ in 0..3 {
        assert_eq!(rig.next(), Said::Event("busy"));
    }
    key.unregister();
    rig.forget_until_now();
    rig.expect_nothing_else();
    rig.stop();
}

#[test]
fn an_event_of_a_descriptor_that_has_gone_is_dropped() {
    let rig = Rig::new(8);
    let (go, signal) = channel();
    let gate = rig.ready("gate", Does::Block(Mutex::new(signal)));
    gate.enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("gate"));
    // Both are ready by the table's next look; whichever comes first takes the other out.
    let slots: [Arc<Mutex<Option<PollKey>>>; 2] = Default::default();
    let [left, right] = ["left", "right"]
        .map(|name| rig.ready(name, Does::Unregister(slots[usize::from(name == "left")].clone())));
    *slots[0].lock().expect("free") = Some(left.clone());
    *slots[1].lock().expect("free") = Some(right.clone());
    left.enable(Interest::Read).expect("polled");
    right.enable(Interest::Read).expect("polled");
    go.send(()).expect("the gate waits");
    let first = rig.next();
    assert!(first == Said::Event("left") || first == Said::Event("right"), "{first:?}");
    rig.expect_nothing_else();
    assert_eq!(rig.populations(Class::Media), [2], "the gate and the one that was heard");
    [gate, left, right].iter().for_each(PollKey::unregister);
    slots.iter().for_each(|slot| *slot.lock().expect("free") = None);
    rig.stop();
}

#[test]
fn a_panic_closes_its_own_consumer_and_no_other() {
    for does in [Does::PanicAtOnce, Does::PanicInTask] {
        let rig = Rig::new(8);
        let neighbour = rig.ready("neighbour", Does::Task);
        rig.ready("faulty", does).enable(Interest::Read).expect("polled");
        assert_eq!(rig.next(), Said::Event("faulty"));
        assert_eq!(rig.next(), Said::Closed("faulty"));
        neighbour.enable(Interest::Read).expect("polled");
        assert_eq!(rig.next(), Said::Event("neighbour"));
        assert_eq!(rig.next(), Said::Ran("neighbour"));
        rig.stop();
    }
}

#[test]
fn a_table_whose_thread_has_ended_ends_the_program() {
    let rig = Rig::new(8);
    let vitals = rig.poller.vitals();
    let key = rig.ready("lost", Does::Wait);
    vitals.provoke("table", &rig.poller.stats()[0].id.to_string());
    key.enable(Interest::Read).expect("polled");
    let deadline = clock::now() + Duration::from_secs(20);
    while vitals.given_up().is_none() {
        assert!(clock::now() < deadline, "it is told");
        std::thread::yield_now();
    }
    assert!(vitals.given_up().is_some_and(|why| why.starts_with("poll table ")), "{:?}", vitals.given_up());
    rig.stop();
}

#[test]
fn a_table_that_hangs_is_seen_and_one_that_goes_on_is_forgiven() {
    let rig = Rig::new(8);
    let vitals = rig.poller.vitals();
    let (go, signal) = channel();
    rig.ready("gate", Does::Block(Mutex::new(signal))).enable(Interest::Read).expect("polled");
    assert_eq!(rig.next(), Said::Event("gate"));
    let called_at = clock::now();
    assert_eq!(vitals.check(called_at), Ok(()), "it was only called now");
    let why = vitals.check(called_at + Duration::from_secs(6)).expect_err("no answer");
    assert!(why.to_string().starts_with("standing still: poll table "), "{why}");
    go.send(()).expect("the gate waits");
    while vitals.check(called_at + Duration::from_secs(6)).is_err() {
        std::thread::yield_now();
    }
    rig.stop();
}
