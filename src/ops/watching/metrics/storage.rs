//! What channels keep on disk.

use super::super::super::running::engine::Engine;
use crate::storage::{ProjectionStats, RecordingStats};

use super::families::Families;

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    let projections = engine.projectors.iter().flat_map(|projectors| projectors.stats());
    projections.for_each(|projection| collect_projection(&projection, out));
    let Some(archive) = &engine.archive else { return };
    let stats = archive.stats();
    out.gauge("mirrorball_storage_bytes", "What all recordings take on disk.", &[], stats.kept as f64);
    if let Some(most) = stats.max_bytes {
        out.gauge(
            "mirrorball_storage_limit_bytes",
            "What all recordings may take on disk.",
            &[],
            most as f64,
        );
    }
    let help = "What this program may still write to the disk of the recordings.";
    out.gauge("mirrorball_storage_free_bytes", help, &[], stats.free as f64);
    let help = "What recordings leave of that disk to others.";
    out.gauge("mirrorball_storage_min_free_bytes", help, &[], stats.min_free as f64);
    let help = "Viewers who watch what was on.";
    out.gauge("mirrorball_past_viewers", help, &[], stats.viewers as f64);
    let help = "How many may.";
    out.gauge("mirrorball_past_viewer_limit", help, &[], stats.most_viewers as f64);
    archive.recordings().iter().for_each(|recording| collect_recording(recording, out));
}

fn collect_projection(projection: &ProjectionStats, out: &mut Families) {
    let labels = [("channel", &*projection.channel)];
    out.counter("mirrorball_films_begun_total", "Films that were begun.", &labels, projection.films);
    let help = "Films that could not be shown, or not to their end.";
    out.counter("mirrorball_film_faults_total", help, &labels, projection.faults);
    let help = "Times that a film was not read in time, and goes on so much later.";
    out.counter("mirrorball_film_delays_total", help, &labels, projection.late);
}

fn collect_recording(recording: &RecordingStats, out: &mut Families) {
    let labels = [("channel", &*recording.channel)];
    let is_recording = f64::from(u8::from(recording.is_recording));
    out.gauge("mirrorball_recording", "Whether what comes is kept.", &labels, is_recording);
    out.gauge("mirrorball_recording_bytes", "What the channel keeps.", &labels, recording.kept as f64);
    let seconds = recording.span_us.map_or(0.0, |(from, to)| to.saturating_sub(from) as f64 / 1e6);
    let help = "From the oldest packet to the newest that the channel keeps.";
    out.gauge("mirrorball_recording_seconds", help, &labels, seconds);
    out.counter("mirrorball_recorded_packets_total", "Packets that were kept.", &labels, recording.packets);
    out.counter(
        "mirrorball_recorded_bytes_total",
        "Bytes of media that were kept.",
        &labels,
        recording.bytes,
    );
    let help = "Packets that were not kept, as the disk did not take them in time.";
    out.counter("mirrorball_recording_missed_packets_total", help, &labels, recording.missed);
    let help = "Times that the disk refused what was to be kept.";
    out.counter("mirrorball_recording_errors_total", help, &labels, recording.errors);
    for (reason, removed) in recording.removed {
        let labels = [("channel", &*recording.channel), ("reason", reason)];
        let help = "Segments of a recording that went, as others were to stay.";
        out.counter("mirrorball_recording_removed_total", help, &labels, removed);
    }
}
