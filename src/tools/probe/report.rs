//! What a probe found: a table for people, JSON for programs, and whether all subscribers were served.
//! `docs/probe.md` describes every figure.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::super::demo::grouped;

use super::Plan;
use super::progress::bits;
use super::scout::Found;
use super::tally::Tally;

/// What was seen between the last set-up and the end.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Window {
    /// How long.
    pub length: Duration,
    /// Packets that came within.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// A stop was asked for.
    pub interrupted: bool,
}

/// What a probe found.
#[derive(Debug, Clone)]
pub struct Report {
    url: String,
    transport: &'static str,
    subscribers: u64,
    tracks: usize,
    window: Window,
    tally: Tally,
}

impl Report {
    pub(super) fn new(plan: &Plan, found: &Found, window: &Window, tally: Tally) -> Self {
        Self {
            url: plan.url.to_string(),
            transport: plan.delivery.name(),
            subscribers: plan.subscribers.into(),
            tracks: found.tracks,
            window: *window,
            tally,
        }
    }

    /// Whether every subscriber that there was time for was set up and got media to the end.
    pub fn all_served(&self) -> bool {
        let complete = self.window.interrupted || self.tally.served == self.subscribers;
        complete && self.tally.failures.is_empty() && self.tally.served > 0
    }

    /// The report for programs.
    pub fn to_json(&self) -> Value {
        let tally = &self.tally;
        let delay = (!tally.delays.is_empty()).then(|| {
            json!({
                "packets": tally.delays.len(),
                "p50_ms": quantile_ms(&tally.delays, 0.5),
                "p90_ms": quantile_ms(&tally.delays, 0.9),
                "p99_ms": quantile_ms(&tally.delays, 0.99),
                "p999_ms": quantile_ms(&tally.delays, 0.999),
                "max_ms": ms(tally.delays.max()),
            })
        });
        let setup = (!tally.setups.is_empty()).then(|| {
            json!({
                "handshakes": tally.setups.len(),
                "per_second": rounded(self.setups_per_second()),
                "p50_ms": quantile_ms(&tally.setups, 0.5),
                "p99_ms": quantile_ms(&tally.setups, 0.99),
                "max_ms": ms(tally.setups.max()),
            })
        });
        let start = (!tally.starts.is_empty()).then(|| {
            json!({
                "plays": tally.starts.len(),
                "p50_ms": quantile_ms(&tally.starts, 0.5),
                "p99_ms": quantile_ms(&tally.starts, 0.99),
                "max_ms": ms(tally.starts.max()),
            })
        });
        let jitter = (tally.tracks.jitter.0 > 0)
            .then(|| json!({ "mean_ms": rounded(self.mean_jitter_ms()), "max_ms": rounded(tally.tracks.jitter.2 * 1e3) }));
        json!({
            "url": self.url,
            "transport": self.transport.to_ascii_lowercase(),
            "tracks": self.tracks,
            "subscribers": self.subscribers,
            "served": tally.served,
            "failed": self.failed(),
            "unfinished": self.unfinished(),
            "interrupted": self.window.interrupted,
            "failures": tally.failures,
            "duration_seconds": rounded(self.window.length.as_secs_f64()),
            "setup": setup,
            "start": start,
            "said": tally.said,
            "packets": tally.packets,
            "bytes": tally.bytes,
            "packets_per_second": rounded(self.per_second(self.window.packets)),
            "bits_per_second": rounded(8.0 * self.per_second(self.window.bytes)),
            "lost": tally.tracks.lost,
            "lost_ratio": self.lost_ratio(),
            "reordered": tally.tracks.reordered,
            "duplicates": tally.tracks.duplicates,
            "restarts": tally.tracks.restarts,
            "not_rtp": tally.not_rtp,
            "strays": tally.strays,
            "receive_overflow": tally.overflow,
            "delay": delay,
            "jitter": jitter,
        })
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let tally = &self.tally;
        let mut rows = vec![("subscribers", self.subscribers_row())];
        if !tally.setups.is_empty() {
            rows.push(("set-up time", quantiles(&tally.setups, &[("p50", 0.5), ("p99", 0.99)])));
            rows.push((
                "set-up rate",
                format!("{} handshakes/s", grouped(self.setups_per_second().round() as u64)),
            ));
        }
        if !tally.starts.is_empty() {
            rows.push(("first packet", quantiles(&tally.starts, &[("p50", 0.5), ("p99", 0.99)])));
        }
        rows.extend(tally.said.iter().map(|said| ("it plays", said.clone())));
        let lost_percent = 100.0 * self.lost_ratio();
        rows.extend([
            ("playing", self.playing_row()),
            ("packets", format!("{}, {} bytes", grouped(tally.packets), grouped(tally.bytes))),
            ("lost", format!("{} ({lost_percent:.4} %)", grouped(tally.tracks.lost))),
            ("reordered", grouped(tally.tracks.reordered)),
            ("duplicates", grouped(tally.tracks.duplicates)),
            ("delay", self.delay_row()),
        ]);
        if tally.tracks.jitter.0 > 0 {
            let (mean, max) = (self.mean_jitter_ms(), tally.tracks.jitter.2 * 1e3);
            rows.push(("jitter", format!("mean {mean:.2} ms   max {max:.2} ms")));
        }
        for (name, count, meaning) in [
            (
                "restarts",
                tally.tracks.restarts,
                "the numbering jumped, or the source changed; such a gap is not in `lost`",
            ),
            ("not RTP", tally.not_rtp, "packets that came as RTP and are none"),
            ("strays", tally.strays, "datagrams from another address or port than the server said"),
            (
                "overflow",
                tally.overflow,
                "datagrams lost here: this machine is too slow, or net.core.rmem_max too small",
            ),
        ] {
            if count > 0 {
                rows.push((name, format!("{}: {meaning}", grouped(count))));
            }
        }
        rows.extend(
            tally.failures.iter().map(|(reason, count)| ("failed", format!("{}: {reason}", grouped(*count)))),
        );
        rows
    }

    fn subscribers_row(&self) -> String {
        let (all, served) = (grouped(self.subscribers), grouped(self.tally.served));
        let mut row = format!("{served} of {all} served");
        for (count, what) in [(self.failed(), "failed"), (self.unfinished(), "not set up")] {
            if count > 0 {
                row += &format!(", {} {what}", grouped(count));
            }
        }
        row
    }

    fn playing_row(&self) -> String {
        let seconds = self.window.length.as_secs_f64();
        if self.window.packets == 0 {
            return format!("{seconds:.1} s");
        }
        let (packets, bytes) = (self.per_second(self.window.packets), self.per_second(self.window.bytes));
        format!("{seconds:.1} s, {} packets/s, {}", grouped(packets.round() as u64), bits(8.0 * bytes))
    }

    fn delay_row(&self) -> String {
        let tally = &self.tally;
        if !tally.delays.is_empty() {
            return quantiles(&tally.delays, &[("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)]);
        }
        let why = match tally.other_clock {
            0 => "the source does not mark its packets",
            _ => "the source's marks are of another machine's clock",
        };
        format!("not measured: {why}")
    }

    fn failed(&self) -> u64 {
        self.tally.failures.values().sum()
    }

    /// Those that an interruption, or a server that serves nobody, left without a set-up.
    fn unfinished(&self) -> u64 {
        self.subscribers.saturating_sub(self.tally.served + self.failed())
    }

    fn setups_per_second(&self) -> f64 {
        let span = self.tally.setup_span.map_or(Duration::ZERO, |(first, last)| last.saturating_sub(first));
        self.tally.setups.len() as f64 / span.as_secs_f64().max(1e-6)
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.window.length.as_secs_f64().max(1e-3)
    }

    fn lost_ratio(&self) -> f64 {
        let unique = self.tally.packets.saturating_sub(self.tally.tracks.duplicates);
        let lost = self.tally.tracks.lost;
        lost as f64 / (unique + lost).max(1) as f64
    }

    fn mean_jitter_ms(&self) -> f64 {
        let (tracks, sum, _) = self.tally.tracks.jitter;
        sum * 1e3 / tracks.max(1) as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tracks = if self.tracks == 1 { "track" } else { "tracks" };
        let ended = if self.window.interrupted { ", interrupted" } else { "" };
        writeln!(f, "{} over {}, {} {tracks} each{ended}\n", self.url, self.transport, self.tracks)?;
        self.rows().iter().try_for_each(|(name, value)| writeln!(f, "  {name:<12} {value}"))
    }
}

fn quantiles(histogram: &Histogram<u64>, shares: &[(&str, f64)]) -> String {
    let quantiles =
        shares.iter().map(|(name, share)| format!("{name} {:.2} ms   ", quantile_ms(histogram, *share)));
    quantiles.collect::<String>() + &format!("max {:.2} ms", ms(histogram.max()))
}

fn quantile_ms(histogram: &Histogram<u64>, share: f64) -> f64 {
    ms(histogram.value_at_quantile(share))
}

fn ms(ns: u64) -> f64 {
    rounded(ns as f64 / 1e6)
}

/// To three places: more is not measured.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::tally::TrackSums;
    use super::*;

    fn report(change: impl FnOnce(&mut Report)) -> Report {
        let ms = Duration::from_millis;
        let mut tally = Tally { packets: 990, bytes: 1_314_720, served: 2, ..Tally::default() };
        tally.tracks =
            TrackSums { lost: 10, reordered: 3, jitter: (2, 0.002, 0.0015), ..TrackSums::default() };
        tally.set_up(ms(0), ms(2));
        tally.set_up(ms(1), ms(4));
        let window = Window { length: ms(10_000), packets: 900, bytes: 1_195_200, interrupted: false };
        let mut report = Report {
            url: "rtsp://edge/news".to_owned(),
            transport: "UDP",
            subscribers: 2,
            tracks: 1,
            window,
            tally,
        };
        change(&mut report);
        report
    }

    #[test]
    fn the_table_says_what_was_found() {
        let text = report(|report| report.tally.delay(Some(Duration::from_micros(1_500)))).to_string();
        for line in [
            "rtsp://edge/news over UDP, 1 track each",
            "  subscribers  2 of 2 served",
            "  set-up time  p50 2.00 ms   p99 3.00 ms   max 3.00 ms",
            "  set-up rate  500 handshakes/s",
            "  playing      10.0 s, 90 packets/s, 956.2 kb/s",
            "  packets      990, 1,314,720 bytes",
            "  lost         10 (1.0000 %)",
            "  reordered    3",
            "  duplicates   0",
            "  delay        p50 1.50 ms   p90 1.50 ms   p99 1.50 ms   p99.9 1.50 ms   max 1.50 ms",
            "  jitter       mean 1.00 ms   max 1.50 ms",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        assert!(!text.contains("overflow"), "what did not happen has no row");
    }

    #[test]
    fn what_went_wrong_has_its_rows() {
        let broken = report(|report| {
            report.subscribers = 9;
            report.tally.strays = 4;
            report.tally.fail("no answer to PLAY in time".to_owned());
        });
        let text = broken.to_string();
        for line in [
            "  subscribers  2 of 9 served, 1 failed, 6 not set up",
            "  delay        not measured: the source does not mark its packets",
            "  failed       1: no answer to PLAY in time",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        assert!(text.contains("  strays       4: "));
        assert!(!broken.all_served());
    }

    #[test]
    fn served_means_everyone_or_all_there_was_time_for() {
        assert!(report(|_| ()).all_served());
        assert!(!report(|report| report.subscribers = 3).all_served());
        assert!(report(|report| (report.subscribers, report.window.interrupted) = (3, true)).all_served());
        assert!(!report(|report| (report.tally.served, report.window.interrupted) = (0, true)).all_served());
    }

    #[test]
    fn programs_read_numbers_and_null_where_nothing_was_measured() {
        let json = report(|_| ()).to_json();
        assert_eq!(json["served"], 2);
        assert_eq!(json["lost_ratio"], 0.01);
        assert_eq!(json["setup"]["max_ms"], 3.0);
        assert_eq!(json["bits_per_second"], 956_160.0);
        assert!(json["delay"].is_null());
        assert_eq!(json["failures"], json!({}));
    }
}
