//! Clocks: one reading a call, in nanoseconds.

use std::mem;

/// CLOCK_MONOTONIC, which source, relay and receivers of one machine share.
pub fn monotonic_ns() -> u64 {
    read_ns(libc::CLOCK_MONOTONIC)
}

/// CLOCK_REALTIME minus CLOCK_MONOTONIC: takes the kernel's arrival times to the monotonic clock.
pub fn realtime_ahead_ns() -> u64 {
    read_ns(libc::CLOCK_REALTIME).saturating_sub(monotonic_ns())
}

/// User and system time of this process.
pub fn cpu_used_ns() -> u64 {
    read_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Sleeps until the monotonic clock shows `deadline_ns`, or a signal comes.
pub fn sleep_until_ns(deadline_ns: u64) {
    let until = timespec(deadline_ns);
    // SAFETY: the timespec outlives the call, and no remainder is asked for.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &until, std::ptr::null_mut())
    };
}

pub(super) fn timespec(ns: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ns / 1_000_000_000) as _, tv_nsec: (ns % 1_000_000_000) as _ }
}

fn read_ns(clock: libc::clockid_t) -> u64 {
    // SAFETY: timespec is plain integers, for which zeros are valid.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: the timespec is valid for writing.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
