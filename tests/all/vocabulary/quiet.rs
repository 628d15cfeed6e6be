//! Stories run beside each other; one that measures needs the machine to itself.

use std::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard};

static STATE: Mutex<State> = Mutex::new(State { shared: 0, alone: false, waiting: 0 });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

struct State {
    shared: usize,
    alone: bool,
    waiting: usize,
}

/// A place on the machine, kept for as long as this lives. A thread that has one may have more.
pub struct Quiet {
    alone: bool,
}

impl Quiet {
    /// Beside others; waits while someone has, or waits for, the machine alone.
    pub fn beside_others() -> Self {
        if DEPTH.replace(DEPTH.get() + 1) == 0 {
            let free = |state: &mut State| state.alone || state.waiting > 0;
            wait_while(free).shared += 1;
        }
        Self { alone: false }
    }

    /// Alone; waits until all others are done.
    pub fn alone() -> Self {
        assert_eq!(DEPTH.replace(1), 0, "whoever wants to be alone asks first");
        state().waiting += 1;
        let mut state = wait_while(|state| state.alone || state.shared > 0);
        state.waiting -= 1;
        state.alone = true;
        Self { alone: true }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let depth = DEPTH.replace(DEPTH.get() - 1);
        if self.alone {
            state().alone = false;
        } else if depth == 1 {
            state().shared -= 1;
        }
        CHANGED.notify_all();
    }
}

/// Waits for a demo's turn, as all of them send to the same group; whoever needs it asks first.
pub fn demo_by_demo() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn wait_while(taken: impl FnMut(&mut State) -> bool) -> MutexGuard<'static, State> {
    CHANGED.wait_while(state(), taken).unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
