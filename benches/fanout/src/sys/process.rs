//! What a process asks for itself: a core, to run first, more descriptors, and to be told to stop.

use std::io::{Error, Result};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Pins the calling thread to one core, and those that it starts.
pub fn pin_to_core(core: usize) -> Result<()> {
    // SAFETY: cpu_set_t is plain integers, for which zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    if core >= libc::CPU_SETSIZE as usize {
        return Err(Error::other(format!("no such core: {core}")));
    }
    // SAFETY: the index is inside of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is valid for its size.
    check(unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &set) })
}

/// Runs this process before all usual ones (SCHED_FIFO), so that a busy core does not move the pace.
pub fn run_first() -> Result<()> {
    let priority = libc::sched_param { sched_priority: 10 };
    // SAFETY: the parameter outlives the call.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &priority) })
}

/// Runs the calling thread behind those of this process that have kept a lower nice value.
pub fn run_last() -> Result<()> {
    // SAFETY: a plain call; 0 means the calling thread.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) })
}

/// Ends a process without a word (SIGKILL).
pub fn kill(pid: u32) -> Result<()> {
    let pid =
        libc::pid_t::try_from(pid).ok().filter(|&pid| pid > 1).ok_or(Error::other("no such process"))?;
    // SAFETY: a plain call.
    check(unsafe { libc::kill(pid, libc::SIGKILL) })
}

/// Asks for `wanted` descriptors; an error if the hard limit is below.
pub fn raise_descriptor_limit(wanted: u64) -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is valid for writing.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    if limit.rlim_cur >= wanted {
        return Ok(());
    }
    if limit.rlim_max < wanted {
        return Err(Error::other(format!(
            "needs {wanted} descriptors, may have {}: ulimit -Hn",
            limit.rlim_max
        )));
    }
    let raised = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max };
    // SAFETY: the limit outlives the call.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) })
}

/// From now on SIGTERM and SIGINT set the flag of [`stop_requested`], and end blocking calls.
pub fn stop_on_terminate() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: sigaction is plain data, for which zeros are valid.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = note_stop as *const () as usize;
        // SAFETY: the handler only stores to an atomic, which is allowed in a signal.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
}

/// As if SIGTERM had come.
pub fn request_stop() {
    STOP.store(true, Ordering::Relaxed);
}

/// Whether SIGTERM or SIGINT came.
pub fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

extern "C" fn note_stop(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

fn check(result: libc::c_int) -> Result<()> {
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
