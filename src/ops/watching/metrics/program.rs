//! The program itself: what its log lost, panics, and what the kernel counts of its process.

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;

use super::super::super::log;

use super::families::Families;

/// `process_…`, as every exporter has them.
static PROCESS: LazyLock<ProcessCollector> = LazyLock::new(ProcessCollector::for_self);

pub(super) fn collect(out: &mut Families) {
    for (reason, lines) in log::lost() {
        let help = "Lines of the log that could not be written, by reason.";
        out.counter("mirrorball_log_lines_dropped_total", help, &[("reason", reason)], lines);
    }
    let (waiting, most) = log::waiting();
    out.gauge("mirrorball_log_lines_waiting", "Lines of the log that wait.", &[], waiting as f64);
    out.gauge("mirrorball_log_line_limit", "Lines of the log that may wait.", &[], most as f64);
    out.counter("mirrorball_panics_total", "Panics, of any thread.", &[], log::panics());
    out.extend(PROCESS.collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_what_every_exporter_has() {
        let mut families = Families::default();
        collect(&mut families);
        let families = families.into_sorted();
        let gauge = |name: &str| {
            let family = families.iter().find(|family| family.name() == name);
            family.unwrap_or_else(|| panic!("no {name}")).get_metric()[0].get_gauge().get_value()
        };
        assert!(gauge("process_resident_memory_bytes") > 1e6);
        assert!((3.0..=gauge("process_max_fds")).contains(&gauge("process_open_fds")));
        assert!(gauge("process_threads") >= 1.0 && gauge("process_start_time_seconds") > 1.7e9);
        assert!(families.iter().any(|family| family.name() == "process_cpu_seconds_total"));
        assert!(families.is_sorted_by_key(|family| family.name().to_owned()));
    }
}
