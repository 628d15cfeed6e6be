//! A channel of which only the name is known: what it is has to be asked for elsewhere, once somebody wants it.

use std::sync::{Arc, Mutex};

use crate::event::lock;

use super::demand::Demand;

/// Of one name, until there is a channel of it, or is to be none.
pub struct Expected {
    /// Who wants it.
    pub demand: Arc<Demand>,
    /// Those who wait for it; absent once that is over.
    waiting: Mutex<Option<Vec<Arc<Call>>>>,
}

/// What is done once, by whoever comes first.
pub struct Call(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Call {
    /// Something to be done.
    pub fn new(what: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Box::new(what)))))
    }

    /// Does it, unless it was done before.
    pub fn make(&self) {
        let what = lock(&self.0).take();
        what.into_iter().for_each(|what| what());
    }

    /// Does it no more.
    pub fn cancel(&self) {
        let what = lock(&self.0).take();
        drop(what); // outside the lock: it may hold the last reference to something with a Drop of its own
    }

    /// Whether it was done, or will not be.
    pub fn is_made(&self) -> bool {
        lock(&self.0).is_none()
    }
}

impl Expected {
    /// What is expected by nobody yet.
    pub fn new(demand: Arc<Demand>) -> Arc<Self> {
        Arc::new(Self { demand, waiting: Mutex::new(Some(Vec::new())) })
    }

    /// Has a call made when it is over, which may be at once.
    pub fn call(&self, call: Arc<Call>) {
        if let Some(waiting) = &mut *lock(&self.waiting) {
            if waiting.len() == waiting.capacity() {
                waiting.retain(|call| !call.is_made()); // of those who have not waited to the end
            }
            return waiting.push(call);
        }
        call.make();
    }

    /// Whether nobody has to wait any more.
    pub fn is_over(&self) -> bool {
        lock(&self.waiting).is_none()
    }

    /// Nobody has to wait any more.
    pub fn be_over(&self) {
        let waiting = lock(&self.waiting).take();
        waiting.into_iter().flatten().for_each(|call| call.make());
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn counting(calls: &Arc<AtomicUsize>) -> Arc<Call> {
        let calls = calls.clone();
        Call::new(move || {
            calls.fetch_add(1, Relaxed);
        })
    }

    #[test]
    fn who_waits_is_called_once_and_who_comes_later_at_once() {
        let (expected, calls) = (Expected::new(Arc::default()), Arc::<AtomicUsize>::default());
        let [first, second] = [counting(&calls), counting(&calls)];
        [&first, &second].into_iter().for_each(|call| expected.call(call.clone()));
        first.make();
        assert_eq!(calls.load(Relaxed), 1, "it has not waited to the end");
        expected.be_over();
        expected.be_over();
        assert_eq!(calls.load(Relaxed), 2);
        expected.call(counting(&calls));
        assert_eq!(calls.load(Relaxed), 3);
    }

    #[test]
    fn those_who_have_gone_take_no_room() {
        let expected = Expected::new(Arc::default());
        for _ in 0..1000 {
            let call = Call::new(|| ());
            expected.call(call.clone());
            call.make();
        }
        let held = lock(&expected.waiting).as_ref().map_or(0, Vec::capacity);
        assert!(held <= 8, "{held}");
    }
}
