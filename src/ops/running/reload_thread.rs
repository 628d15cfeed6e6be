//! The thread that reads the config again: when it is asked to, and when a file was written. It gives way to media, and holds up
//! nobody who watches over the program.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::event::{Priority, spawn};

use super::reload::Reloader;

/// From one look at the files to the next.
const LOOK: Duration = Duration::from_millis(250);

/// Reads a config again, for as long as it is not stopped.
pub struct ReloadThread {
    orders: Sender<&'static str>,
    thread: JoinHandle<()>,
}

impl ReloadThread {
    /// Begins to look at the files of a config.
    ///
    /// # Errors
    /// The thread can not be started.
    pub fn start(reloader: Arc<Reloader>) -> io::Result<Self> {
        let (orders, received) = bounded(1);
        let thread = spawn("reload".to_owned(), Priority::Low, move || serve(&reloader, &received))?;
        Ok(Self { orders, thread })
    }

    /// Has the config read again. Whoever asks while another one waits is answered with that one.
    pub fn ask(&self, why: &'static str) {
        let _ = self.orders.try_send(why); // full: one more would read the same
    }

    /// Ends it, with what it does now.
    pub fn stop(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}

fn serve(reloader: &Reloader, orders: &Receiver<&'static str>) {
    loop {
        let order = orders.recv_timeout(LOOK);
        let turn = || match order {
            Ok(why) => drop(reloader.reload(why)),
            Err(_) => reloader.look(),
        };
        if order == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        // The log has the panic; the next config may be a better one.
        let _ = catch_unwind(AssertUnwindSafe(turn));
    }
}
