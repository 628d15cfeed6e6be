//! Session announcements: what is heard of others, and what is sent of ours.

use super::super::super::running::engine::Engine;
use crate::ingest::announce::AnnouncementStats;

use super::families::Families;

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    let nothing = AnnouncementStats::default();
    let heard = engine.hearing.as_ref().map_or(&nothing, |hearing| hearing.stats());
    let help = "Sessions that are announced and are channels.";
    out.gauge("mirrorball_sap_sessions", help, &[], heard.sessions() as f64);
    let most = engine.hearing.as_ref().map_or(0, |hearing| hearing.most_sessions());
    out.gauge("mirrorball_sap_session_limit", "Such sessions that there may be.", &[], most as f64);
    let help = "Announcements that were taken, of new sessions and of known ones.";
    out.counter("mirrorball_sap_announcements_total", help, &[], heard.taken());
    for (reason, count) in heard.refused() {
        let help = "Datagrams to the port of announcements that changed nothing, by reason.";
        out.counter("mirrorball_sap_refused_total", help, &[("reason", reason)], count);
    }
    let sent = engine.announcer.stats();
    for (kind, count) in [("announcement", sent.announcements()), ("deletion", sent.deletions())] {
        let help = "Announcements of our channels that were sent, and deletions.";
        out.counter("mirrorball_sap_sent_total", help, &[("kind", kind)], count);
    }
    let help = "Those that could not be sent.";
    out.counter("mirrorball_sap_send_errors_total", help, &[], sent.failures());
}
