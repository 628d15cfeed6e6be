//! What is left of a poller that has stopped.

use super::*;
use crate::event::Timers;
use crate::event::testing::Holdings;

#[test]
fn a_stopped_poller_takes_nothing_and_ignores_old_keys() {
    let rig = Rig::new(8);
    let key = rig.ready("late", Does::Wait);
    rig.poller.stop();
    key.enable(Interest::Read).expect("polled");
    key.unregister();
    let consumer = Arc::new(Consumer { name: "late", does: Does::Wait, said: rig.sender.clone() });
    rig.poller.register(Class::Media, descriptor(0), consumer).expect_err("the poller has stopped");
    rig.beside(&key).expect_err("the poller has stopped");
    rig.stop();
}

#[test]
fn stop_gives_back_every_thread_and_descriptor() {
    in_a_process_of_its_own(
        "event::poller::tests::ends::stop_gives_back_every_thread_and_descriptor",
        || {
            let before = Holdings::now();
            let rig = Rig::new(2);
            let timers = Timers::start(&rig.poller, Class::Control).expect("a timer");
            let consumer = Arc::new(Consumer { name: "never", does: Does::Task, said: rig.sender.clone() });
            timers.at(clock::now() + Duration::from_secs(3600), Task::new("never", consumer));
            for _ in 0..9 {
                rig.ready("served", Does::Task).enable(Interest::Read).expect("polled");
            }
            let _first = rig.next();
            rig.poller.stop();
            timers.stop();
            rig.queue.stop();
            drop((rig, timers));
            before.expect_again();

            let dropped = Rig::new(2);
            let key = dropped.idle(Class::Media);
            drop(key);
            drop(dropped);
            before.expect_again();
        },
    );
}
