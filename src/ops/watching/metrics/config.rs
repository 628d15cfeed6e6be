//! The config that the program runs by, what became of those that were read again, and whether it takes anybody in.

use super::super::super::running::engine::Engine;
use super::super::super::running::reloads::OUTCOMES;
use super::families::Families;

pub(super) fn collect(engine: &Engine, out: &mut Families) {
    let (counts, last) = (engine.reloads.counts(), engine.reloads.last());
    let help = "The text of the config that the program runs by, in short.";
    out.gauge("mirrorball_config_info", help, &[("revision", &last.revision)], 1.0);
    for (result, count) in OUTCOMES.iter().zip(counts) {
        let help = "Times that the config was read again, by what became of it.";
        out.counter("mirrorball_config_reloads_total", help, &[("result", result)], count);
    }
    let is_right = f64::from(u8::from(last.refused.is_none()));
    let help = "Whether the config that was read last is what the program runs by (1), or was refused (0).";
    out.gauge("mirrorball_config_last_reload_successful", help, &[], is_right);
    let help = "When the config was read last, in seconds since 1970.";
    out.gauge("mirrorball_config_last_reload_timestamp_seconds", help, &[], last.at.as_secs_f64());
    let help = "Keys of the config that wait for the next start of the program.";
    out.gauge("mirrorball_config_keys_waiting", help, &[], last.waiting.len() as f64);
    let is_draining = f64::from(u8::from(engine.drain.deadline().is_some()));
    out.gauge("mirrorball_draining", "Whether nobody is taken in any more (1).", &[], is_draining);
}
