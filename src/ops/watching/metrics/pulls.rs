//! What is pulled from other servers, by channel.

use super::super::super::running::engine::Engine;
use crate::ingest::pull::PullState;

use super::families::Families;

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    for stats in engine.puller.stats() {
        let channel = ("channel", stats.channel.as_str());
        for (state, label) in PullState::ALL {
            let help = "Whether the stream is in this state.";
            let is = f64::from(u8::from(stats.state == state));
            out.gauge("mirrorball_pull_state", help, &[channel, ("state", label)], is);
        }
        let help = "Connections to the stream's server that were made.";
        out.counter("mirrorball_pull_connects_total", help, &[channel], stats.connects);
        let help = "Redirects of the stream's server that were followed.";
        out.counter("mirrorball_pull_redirects_total", help, &[channel], stats.redirects);
        for (reason, count) in &stats.failures {
            let help = "Times that the stream was not to be had, or no longer, by reason.";
            out.counter("mirrorball_pull_failures_total", help, &[channel, ("reason", reason)], *count);
        }
        let help = "Bytes between the server's messages that were none.";
        out.counter("mirrorball_pull_rubbish_bytes_total", help, &[channel], stats.rubbish_bytes);
        for (what, count) in [("frame", stats.stray_frames), ("datagram", stats.stray_datagrams)] {
            let help = "Packets that came with the stream and are none of its.";
            out.counter("mirrorball_pull_strays_total", help, &[channel, ("what", what)], count);
        }
    }
}
