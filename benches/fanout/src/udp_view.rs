//! Subscribers over UDP: registered at a server, or heard unasked.

use std::io::Result;

use crate::dialogue::Subscription;
use crate::ledger::Ledger;
use crate::losses::{Losses, Lossy};
use crate::receive::{Options, View};
use crate::rtsp::{self, KeepAlive};
use crate::sys;
use crate::udp_sockets::UdpSockets;

/// All subscribers over UDP.
pub struct UdpView {
    sockets: UdpSockets,
    sessions: KeepAlive,
    losses: Option<Losses>,
}

impl UdpView {
    /// Opens the sockets and registers all subscribers, if there is a server to register at.
    pub fn open(options: &Options) -> Result<Self> {
        let sockets = UdpSockets::open(options.back)?;
        let sessions = match options.rtsp {
            Some(server) => {
                let mut wanted =
                    rtsp::subscriptions(server, options.transport, options.subscribers, options.channels);
                ask_for_the_past(options, &mut wanted);
                if options.back {
                    wanted.iter_mut().for_each(go_and_come_back);
                }
                rtsp::register(server, wanted, options.transport)?
            }
            None => Vec::new(),
        };
        let (sessions, rtcp) = (KeepAlive::new(sessions), sockets.rtcp()?);
        let lossy = options.rtsp.filter(|_| options.lose > 0.0);
        let losses = lossy.map(|server| {
            let per_mille = (options.lose * 10.0).round() as u64;
            Losses::new(per_mille, *server.ip(), rtcp, sessions.server_rtcp_ports())
        });
        Ok(Self { sockets, sessions, losses })
    }
}

/// Each asks for another moment of so many seconds.
fn ask_for_the_past(options: &Options, wanted: &mut [Subscription]) {
    let each = options.past / wanted.len().max(1) as f64;
    for (number, subscription) in
        wanted.iter_mut().enumerate().skip(options.beside).filter(|_| options.past > 0.0)
    {
        subscription.ranges = vec![then(options.past - each * number as f64)];
    }
}

/// Asks for what was on a moment ago, and then for what comes.
fn go_and_come_back(subscription: &mut Subscription) {
    subscription.ranges = vec![then(5.0), "npt=now-".into()];
}

/// What was on so many seconds ago.
fn then(seconds: f64) -> String {
    let now = (sys::monotonic_ns() + sys::realtime_ahead_ns()) as f64 / 1e9;
    format!("clock={}-", utc(now - seconds))
}

/// A time since 1970 as RFC 2326 section 3.7 has it. Days become dates as by Howard Hinnant's `civil_from_days`.
fn utc(unix: f64) -> String {
    let (days, second) = ((unix / 86_400.0).floor() as i64 + 719_468, unix.rem_euclid(86_400.0));
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) =
        (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute) = (second as u64 / 3600, second as u64 / 60 % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{:06.3}Z", second % 60.0)
}

impl View for UdpView {
    fn drain(&mut self, now_ns: u64, ledger: &mut Ledger) -> Result<()> {
        match &mut self.losses {
            Some(losses) => {
                self.sockets.drain(&mut Lossy(losses, ledger))?;
                losses.ask(now_ns)?;
            }
            None => self.sockets.drain(ledger)?,
        }
        self.sessions.keep_alive(now_ns)
    }

    fn losses(&self) -> Option<&Losses> {
        self.losses.as_ref()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_moment_is_written_as_a_range_has_it() {
        assert_eq!(super::utc(0.0), "19700101T000000.000Z");
        assert_eq!(super::utc(951_827_696.5), "20000229T123456.500Z");
        assert_eq!(super::utc(1_795_866_000.25), "20261128T114000.250Z");
    }
}
