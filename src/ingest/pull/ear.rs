//! A descriptor of a link, which is polled for its stream's sake.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use crate::event::{Class, Descriptor, Event, Interest, PollEventConsumer, PollKey, Poller, Task};

/// Polled until it is dropped.
pub(super) struct Ear {
    key: PollKey,
    fired: Arc<Fired>,
}

struct Fired {
    listener: Weak<dyn Listener>,
    is: AtomicBool,
}

/// For whose sake it is polled.
pub(super) trait Listener: Send + Sync {
    /// Something has happened.
    fn hear(self: Arc<Self>);
    /// A descriptor is polled no more.
    fn lose(self: Arc<Self>);
}

impl Ear {
    /// Polls a descriptor.
    pub fn open(
        poller: &Poller,
        descriptor: Arc<dyn Descriptor>,
        listener: Weak<dyn Listener>,
        interest: Interest,
    ) -> io::Result<Self> {
        let fired = Arc::new(Fired { listener, is: AtomicBool::new(false) });
        let key = poller.register(Class::Media, descriptor, fired.clone())?;
        key.enable(interest)?;
        Ok(Self { key, fired })
    }

    /// Whether something has happened at it since this was asked last. It is not polled until [`listen`](Self::listen).
    pub fn take(&self) -> bool {
        self.fired.is.swap(false, Relaxed)
    }

    /// Polls it again.
    pub fn listen(&self) {
        self.key.resume(Interest::Read);
    }

    /// More is to be had at it than one turn takes.
    pub fn fire(&self) {
        self.fired.is.store(true, Relaxed);
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.key.unregister();
    }
}

impl PollEventConsumer for Fired {
    fn create_task(self: Arc<Self>, _: Event) -> Option<Task> {
        self.is.store(true, Relaxed);
        self.listener.upgrade().into_iter().for_each(|listener| listener.hear());
        None
    }

    /// The stream finds out that nothing comes.
    fn close(self: Arc<Self>) {
        self.listener.upgrade().into_iter().for_each(|listener| listener.lose());
    }
}
