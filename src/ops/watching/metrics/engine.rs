//! How the work goes: poll tables, queues and tasks.

use std::collections::BTreeMap;

use super::super::super::release;
use super::super::super::running::engine::Engine;
use super::super::super::running::upgrade::HOLD;
use crate::event::{Class, TaskQueue};
use crate::ingest::pull::{OPEN, PULL};
use crate::net::{KernelDrops, descriptor_limit, open_descriptors};
use crate::relay::{FAN_OUT, Held, Leg};
use crate::storage;

use super::families::Families;

/// The kinds of tasks. Each has a series from the start, so that the first one is seen.
const MEDIA_TASKS: &[&str] = &[FAN_OUT, "Flush", HOLD, "Lost", PULL, "ReceiveReports", storage::SHOW];
const CONTROL_TASKS: &[&str] = &[
    "Accept",
    "Announce",
    "CertificateWatch",
    "ConnectionWatch",
    "DirectoryWatch",
    "FollowAnnouncements",
    "FollowInterfaces",
    "FollowOutGroups",
    "HearAnnouncements",
    "HearReports",
    HOLD,
    "Join",
    "Lost",
    OPEN,
    "OpenGroups",
    "RefusalWatch",
    "Renew",
    "RtspTask",
    "SessionWatch",
    "SilenceWatch",
    "Tell",
    "UsersWatch",
];

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    let build = [("version", release::VERSION), ("revision", release::REVISION)];
    out.gauge("mirrorball_build_info", "The version that runs, and its revision; always 1.", &build, 1.0);
    let help = "Whether every part of the program moves.";
    out.gauge("mirrorball_live", help, &[], f64::from(u8::from(engine.live().is_ok())));
    let help = "Descriptors that the process has open.";
    out.gauge("mirrorball_open_descriptors", help, &[], open_descriptors() as f64);
    let help = "Descriptors that it may have open.";
    out.gauge("mirrorball_descriptor_limit", help, &[], descriptor_limit() as f64);
    let help = "Time that media threads have received and sent.";
    out.seconds("mirrorball_media_busy_seconds_total", help, &[], engine.dispatch.busy.total());
    let help = "Time from a packet's arrival until a lane's subscribers were sent it, beyond the rest that was wanted.";
    for leg in Leg::ALL {
        let lateness = engine.dispatch.lateness.histogram(leg);
        out.histogram("mirrorball_media_lateness_seconds", help, &[("leg", leg.name())], &lateness);
    }
    let bursts = &engine.dispatch.bursts;
    let help = "Bytes that were sent to bring viewers level who began in the past.";
    out.counter("mirrorball_burst_bytes_total", help, &[], bursts.bytes());
    for ((_, reason), waits) in Held::ALL.into_iter().zip(bursts.held()) {
        let help = "Times that what brings viewers level had to wait.";
        out.counter("mirrorball_burst_waits_total", help, &[("reason", reason)], waits);
    }
    let help = "What all may be sent together to be brought level.";
    out.gauge("mirrorball_burst_limit_bits_per_second", help, &[], bursts.bits_per_second() as f64);
    let help = "What all may be sent again together.";
    let repairs = engine.dispatch.repairs.bits_per_second();
    out.gauge("mirrorball_repair_limit_bits_per_second", help, &[], repairs as f64);
    for (reason, drops) in KernelDrops::read().by_reason() {
        let help = "Packets that the kernel dropped before any socket of the machine saw them.";
        out.counter("mirrorball_kernel_drops_total", help, &[("reason", reason)], drops);
    }
    for (part, faults) in engine.poller.vitals().faults() {
        let help = "Panics that were caught in a part of the program, which went on.";
        out.counter("mirrorball_faults_total", help, &[("part", part)], faults);
    }
    let help = "Descriptors that the kernel polled no more; their consumers were closed.";
    out.counter("mirrorball_descriptors_unpolled_total", help, &[], engine.poller.vitals().unpolled_total());
    for table in engine.poller.stats() {
        let id = table.id.to_string();
        let labels = [("table", id.as_str()), ("class", table.class.name())];
        out.gauge(
            "mirrorball_poll_table_entries",
            "Descriptors in the poll table.",
            &labels,
            table.entries as f64,
        );
        out.gauge(
            "mirrorball_poll_table_capacity",
            "Descriptors that it has room for.",
            &labels,
            table.capacity as f64,
        );
        out.counter(
            "mirrorball_poll_table_events_total",
            "Events that the table has dispatched.",
            &labels,
            table.events,
        );
    }
    queue(engine.poller.queue(Class::Media), MEDIA_TASKS, out);
    queue(engine.poller.queue(Class::Control), CONTROL_TASKS, out);
    engine.archive.iter().for_each(|archive| queue(archive.queue(), &storage::TASKS, out));
}

fn queue(queue: &TaskQueue, kinds: &[&'static str], out: &mut Families) {
    let stats = queue.stats();
    let name = queue.name();
    let labels = [("queue", name)];
    out.gauge("mirrorball_queue_depth", "Tasks that wait for a worker.", &labels, queue.depth() as f64);
    out.gauge("mirrorball_queue_workers", "Threads that take tasks.", &labels, queue.workers() as f64);
    let waits = "Time from a task's submission to its start.";
    out.histogram("mirrorball_queue_wait_seconds", waits, &labels, &stats.wait);
    out.histogram("mirrorball_queue_run_seconds", "Time that a task ran.", &labels, &stats.run);
    out.counter(
        "mirrorball_task_panics_total",
        "Tasks that panicked; their consumer was closed.",
        &labels,
        stats.panics,
    );
    if queue.yields() {
        let help = "Time that workers have paused because media was late.";
        out.seconds("mirrorball_queue_paused_seconds_total", help, &labels, stats.paused);
    }
    let mut tasks: BTreeMap<_, _> = kinds.iter().map(|task| (*task, 0)).collect();
    tasks.extend(stats.tasks);
    for (task, count) in tasks {
        let labels = [("queue", name), ("task", task)];
        out.counter("mirrorball_tasks_total", "Tasks that ran, by kind.", &labels, count);
    }
}
