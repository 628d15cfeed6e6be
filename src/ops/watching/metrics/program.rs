//! The program itself: what its log lost, and panics.

use super::super::super::log;

use super::families::Families;

pub(super) fn collect(out: &mut Families) {
    for (reason, lines) in log::lost() {
        let help = "Lines of the log that could not be written, by reason.";
        out.counter("mirrorball_log_lines_dropped_total", help, &[("reason", reason)], lines);
    }
    out.counter("mirrorball_panics_total", "Panics, of any thread.", &[], log::panics());
}
