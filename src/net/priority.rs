//! A thread's priority: lowered for good, without privilege.
#![allow(unsafe_code)]

use std::io;
use std::mem;

use nix::libc;

/// Steps of niceness down. Fifteen leave a thirtieth of a core beside one thread that wants it all, a sixtieth beside
/// two: viewers still get in, and what is preempted with a lock in hand lets go of it soon. docs/architecture.md has
/// what was measured.
const STEPS: libc::c_int = 15;
/// There is nothing below.
const LOWEST: libc::c_int = 19;
/// The shortest time slice that Linux grants (6.12 and later), so that a thread that wakes need not wait for the
/// end of a longer one.
const SLICE_NS: u64 = 100_000;

/// Lowers the calling thread's priority for good: only a privileged thread could raise it again. Threads that it
/// starts run at the lowered one.
pub fn lower_priority() -> io::Result<()> {
    let niceness = (niceness() + STEPS).min(LOWEST);
    with_short_slices(niceness).or_else(|_| renice(niceness)) // a filter of system calls may know the old call alone
}

fn niceness() -> libc::c_int {
    // SAFETY: the call takes and returns plain numbers; 0 is the calling thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn with_short_slices(niceness: libc::c_int) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: mem::size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER.cast_unsigned(),
        sched_flags: 0,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: SLICE_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `attributes` is a live, fully written struct of the size that it states, only read by the call; 0 is
    // the calling thread, and no flag is set.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn renice(niceness: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes and returns plain numbers; 0 is the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_lowered_thread_and_those_it_starts_are_nicer_and_no_other() {
        let usual = niceness();
        let lowered = thread::spawn(|| {
            lower_priority().expect("no privilege is needed");
            (niceness(), thread::spawn(niceness).join().expect("no panic"))
        });
        let low = (usual + STEPS).min(LOWEST);
        assert_eq!(lowered.join().expect("no panic"), (low, low));
        assert_eq!(niceness(), usual);
    }

    #[test]
    fn the_old_call_does_where_the_new_one_is_not_allowed() {
        let low = (niceness() + STEPS).min(LOWEST);
        let lowered = thread::spawn(move || renice(low).map(|()| niceness()));
        assert_eq!(lowered.join().expect("no panic").expect("no privilege is needed"), low);
    }
}
