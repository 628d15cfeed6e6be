//! The life of one polled descriptor: when the kernel is told, and whose event counts.
//!
//! ```text
//!   registered ──enable──▶ armed ──event──▶ suspended ──resume──▶ armed …
//!        └──────────┬────────┴────────────────┘
//!                   ▼ unregister
//!                removed (for good)
//! ```
//!
//! The kernel is told under the entry's own lock, so no descriptor is closed between the check and the
//! call. Knows no epoll: what "told" means is the caller's closure.

use super::sync::{Mutex, MutexGuard};

/// What a descriptor waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read, or the peer has closed.
    Read,
    /// Room to write.
    Write,
}

/// How the kernel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    /// The descriptor is new to the kernel.
    Add(Interest),
    /// The descriptor was armed before.
    Modify(Interest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Registered,
    Armed,
    Suspended,
    Removed,
}

/// The guarded state of one entry.
#[derive(Debug)]
pub(super) struct EntryState(Mutex<State>);

impl EntryState {
    pub fn new() -> Self {
        Self(Mutex::new(State::Registered))
    }

    /// Polls the descriptor (again) for `interest`. A removed entry stays removed: `Ok(false)`.
    pub fn arm<E>(&self, interest: Interest, tell: impl FnOnce(Arm) -> Result<(), E>) -> Result<bool, E> {
        let mut state = self.lock();
        let how = match *state {
            State::Removed => return Ok(false),
            State::Registered => Arm::Add(interest),
            State::Armed | State::Suspended => Arm::Modify(interest),
        };
        tell(how)?;
        *state = State::Armed;
        Ok(true)
    }

    /// An event came. `false`: it is stale (removed, or already in a task's hands) and is dropped; what
    /// it told will be told again when the task resumes the descriptor.
    pub fn suspend(&self) -> bool {
        let mut state = self.lock();
        let State::Armed = *state else { return false };
        *state = State::Suspended;
        true
    }

    /// Removes the entry; `forget` runs if the kernel knew of it. `false`: it was removed before.
    pub fn remove(&self, forget: impl FnOnce()) -> bool {
        let mut state = self.lock();
        let known = match *state {
            State::Removed => return false,
            State::Registered => false,
            State::Armed | State::Suspended => true,
        };
        *state = State::Removed;
        if known {
            forget();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn arm(state: &EntryState, interest: Interest) -> Option<Arm> {
        let mut told = None;
        let _ = state.arm(interest, |how| {
            told = Some(how);
            Ok::<_, Infallible>(())
        });
        told
    }

    #[test]
    fn the_kernel_hears_of_a_descriptor_only_when_it_is_enabled() {
        let state = EntryState::new();
        assert!(!state.suspend(), "an event before enable is nobody's");
        assert_eq!(arm(&state, Interest::Read), Some(Arm::Add(Interest::Read)));
        assert!(state.suspend());
        assert_eq!(arm(&state, Interest::Write), Some(Arm::Modify(Interest::Write)));
    }

    #[test]
    fn an_event_during_a_task_is_dropped() {
        let state = EntryState::new();
        arm(&state, Interest::Read);
        assert!(state.suspend());
        assert!(!state.suspend());
    }

    #[test]
    fn a_removed_entry_never_comes_back() {
        let state = EntryState::new();
        arm(&state, Interest::Read);
        assert!(state.remove(|| ()));
        assert!(!state.remove(|| panic!("forgotten twice")));
        assert_eq!(arm(&state, Interest::Read), None);
        assert!(!state.suspend());
    }
}

#[cfg(all(test, model))]
mod loom_models {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// A kernel of one descriptor: one-shot, level-triggered, always ready.
    #[derive(Default)]
    struct Kernel {
        armed: AtomicBool,
        tasks: AtomicUsize,
    }

    impl Kernel {
        fn tell(&self) -> Result<(), std::convert::Infallible> {
            self.armed.swap(true, Ordering::SeqCst);
            Ok(())
        }

        /// One turn of the table thread: takes the event if there is one, and starts its task.
        fn turn(&self, state: &EntryState) -> bool {
            if !self.armed.swap(false, Ordering::SeqCst) || !state.suspend() {
                return false;
            }
            assert_eq!(self.tasks.fetch_add(1, Ordering::SeqCst), 0, "two tasks of one descriptor");
            true
        }
    }

    #[test]
    fn loom_one_task_at_a_time_and_resume_is_never_lost() {
        loom::model(|| {
            let state = Arc::new(EntryState::new());
            let kernel = Arc::new(Kernel::default());
            state.arm(Interest::Read, |_| kernel.tell()).unwrap();
            assert!(kernel.turn(&state));
            let task = {
                let (state, kernel) = (state.clone(), kernel.clone());
                loom::thread::spawn(move || {
                    kernel.tasks.fetch_sub(1, Ordering::SeqCst);
                    state.arm(Interest::Read, |_| kernel.tell()).unwrap();
                })
            };
            let early = kernel.turn(&state);
            task.join().unwrap();
            assert!(early || kernel.turn(&state), "the resumed descriptor is polled");
        });
    }

    #[test]
    fn loom_nothing_is_told_about_a_removed_descriptor() {
        loom::model(|| {
            let state = Arc::new(EntryState::new());
            let kernel = Arc::new(Kernel::default());
            let closed = Arc::new(AtomicBool::new(false));
            state.arm(Interest::Read, |_| kernel.tell()).unwrap();
            assert!(kernel.turn(&state));
            let task = {
                let (state, kernel, closed) = (state.clone(), kernel.clone(), closed.clone());
                loom::thread::spawn(move || {
                    kernel.tasks.fetch_sub(1, Ordering::SeqCst);
                    let _ = state.arm(Interest::Read, |_| {
                        assert!(!closed.load(Ordering::SeqCst), "told about a closed descriptor");
                        kernel.tell()
                    });
                })
            };
            state.remove(|| kernel.armed.store(false, Ordering::SeqCst));
            closed.store(true, Ordering::SeqCst);
            task.join().unwrap();
            assert!(!kernel.turn(&state), "no event of a removed entry is handed out");
        });
    }
}
