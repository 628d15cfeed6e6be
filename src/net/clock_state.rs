//! Whether the kernel's clock is kept right by somebody.
#![allow(unsafe_code)]

use std::io;
use std::mem;

use nix::libc;

/// Whether a client of NTP or PTP has told the kernel the time lately (adjtimex(2)). Nothing is changed.
pub fn clock_is_synchronised() -> io::Result<bool> {
    // SAFETY: timex is plain integers, for which zeros are valid; `modes` of 0 asks and sets nothing.
    let mut asked: libc::timex = unsafe { mem::zeroed() };
    // SAFETY: `asked` is a live timex, which is all that the call writes to.
    match unsafe { libc::adjtimex(&raw mut asked) } {
        -1 => Err(io::Error::last_os_error()),
        state => Ok(state != libc::TIME_ERROR),
    }
}
