//! What the terminal shows while the demo runs: first what to open, then a line of figures.
//! Text alone: it writes nothing, reads no counter and no clock; the caller feeds it.

use std::time::Duration;

/// The greeting: what runs, and what to open. `rtsp_url` is the channel's, `metrics_url` the scrape's.
pub fn banner(rtsp_url: &str, metrics_url: &str) -> String {
    format!(
        "\n  Mirrorball demo: one beam in, many beams out.\n\
         \n  A test programme (mirror ball, running clock, tone) is being multicast on the loopback\n  \
         interface and reflected to everyone who opens\n\
         \n      {rtsp_url}\n\
         \n  Open it in another terminal, as often as you like:\n\
         \n      ffplay -rtsp_transport udp {rtsp_url}\
         \n      mpv {rtsp_url}\
         \n      vlc {rtsp_url}\
         \n      gst-launch-1.0 playbin uri={rtsp_url}\n\
         \n  and watch it with\n\
         \n      curl {metrics_url}\n\
         \n  The lamp in the picture flashes with the blip in the tone. Ctrl-C ends the demo.\n\n"
    )
}

/// The figures of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Time since the demo began.
    pub uptime: Duration,
    /// RTP packets that came in during the last second.
    pub packets_in_per_second: u64,
    /// RTP packets that went out to subscribers during the last second.
    pub packets_out_per_second: u64,
    /// Subscribers over UDP.
    pub subscribers_udp: u64,
    /// Subscribers over TCP, interleaved.
    pub subscribers_tcp: u64,
    /// Packets lost so far, from the source to the subscribers.
    pub lost: u64,
}

/// The status line, without a line end; under 80 columns for all sane figures.
pub fn status_line(snapshot: &Snapshot) -> String {
    let seconds = snapshot.uptime.as_secs();
    format!(
        "{}:{:02}:{:02}  packets/s {} in, {} out  subscribers {} UDP, {} TCP  lost {}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        grouped(snapshot.packets_in_per_second),
        grouped(snapshot.packets_out_per_second),
        grouped(snapshot.subscribers_udp),
        grouped(snapshot.subscribers_tcp),
        grouped(snapshot.lost),
    )
}

/// A number with a comma at each thousand.
pub(in crate::tools) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_matters() {
        let snapshot = Snapshot {
            uptime: Duration::from_secs(3_725),
            packets_in_per_second: 812,
            packets_out_per_second: 12_345,
            subscribers_udp: 12,
            subscribers_tcp: 3,
            lost: 0,
        };
        assert_eq!(
            status_line(&snapshot),
            "1:02:05  packets/s 812 in, 12,345 out  subscribers 12 UDP, 3 TCP  lost 0"
        );
    }

    #[test]
    fn a_busy_line_still_fits_eighty_columns() {
        let snapshot = Snapshot {
            uptime: Duration::from_secs(9 * 3600),
            packets_in_per_second: 999,
            packets_out_per_second: 99_999,
            subscribers_udp: 999,
            subscribers_tcp: 99,
            lost: 9_999,
        };
        assert!(status_line(&snapshot).len() < 80, "{}", status_line(&snapshot));
    }

    #[test]
    fn nothing_overflows() {
        let most = Snapshot {
            uptime: Duration::MAX,
            packets_in_per_second: u64::MAX,
            packets_out_per_second: u64::MAX,
            subscribers_udp: u64::MAX,
            subscribers_tcp: u64::MAX,
            lost: u64::MAX,
        };
        assert!(status_line(&most).contains("18,446,744,073,709,551,615 out"));
    }

    #[test]
    fn the_banner_names_what_to_open() {
        let text = banner("rtsp://127.0.0.1:8554/demo", "http://127.0.0.1:9469/metrics");
        for player in ["ffplay", "mpv", "vlc", "gst-launch-1.0"] {
            assert!(
                text.lines().any(|line| line.contains(player) && line.contains("rtsp://127.0.0.1:8554/demo"))
            );
        }
        assert!(text.contains("curl http://127.0.0.1:9469/metrics"));
        assert!(text.lines().all(|line| line.len() <= 92), "{text}");
    }
}
