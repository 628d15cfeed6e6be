//! Channels that are shown on the status page.

use super::super::super::running::engine::Engine;

use super::families::Families;

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    let previews = &engine.previews;
    let help = "Channels that are shown on the status page now.";
    out.gauge("mirrorball_previews", help, &[], previews.running() as f64);
    let help = "How many may be shown at a time.";
    out.gauge("mirrorball_previews_limit", help, &[], previews.most() as f64);
    let help = "Times that a channel began to be shown.";
    out.counter("mirrorball_previews_total", help, &[], previews.began());
    for (reason, refused) in previews.refused() {
        let help = "Times that a channel was to be shown and was not.";
        out.counter("mirrorball_previews_refused_total", help, &[("reason", reason)], refused);
    }
}
