//! The UsersWatch: looks once a second whether the file of users has changed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::event::{Task, Timers, Work, clock};

use super::users_file::UsersFile;

const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct UsersWatch {
    file: Weak<UsersFile>,
    timers: Weak<Timers>,
}

impl UsersWatch {
    pub fn start(file: &Arc<UsersFile>, timers: &Arc<Timers>) {
        Arc::new(Self { file: Arc::downgrade(file), timers: Arc::downgrade(timers) }).look_later();
    }

    fn look_later(self: Arc<Self>) {
        if let Some(timers) = self.timers.upgrade() {
            timers.at(clock::now() + LOOK_EVERY, Task::new("UsersWatch", self));
        }
    }
}

impl Work for UsersWatch {
    fn run(self: Arc<Self>) {
        if let Some(file) = self.file.upgrade() {
            let path = file.path().display();
            match file.look() {
                None => {}
                Some(Ok(users)) => tracing::info!(file = %path, users, "the users have changed"),
                Some(Err(error)) => {
                    tracing::warn!(file = %path, %error, "the users stay as they were: their file can not be used");
                }
            }
            self.look_later();
        }
    }

    /// Watching goes on whatever happened once.
    fn close(self: Arc<Self>) {
        if let Some(timers) = self.timers.upgrade() {
            timers.vitals().fault("watch");
        }
        self.look_later();
    }
}
