//! Noise of viewers who play over UDP: RTCP receiver reports from their own addresses.

use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::Socket;

use crate::address_plan;
use crate::sys;

use super::noise::Progress;

const REPORTS_PER_S: u64 = 10_000;
const REPORTS_PER_TURN: u64 = 10;

/// Viewers who report.
pub struct Reporters {
    /// The relay's address.
    pub server: Ipv4Addr,
    /// The sockets of those who are no witnesses, and of those who are.
    pub sockets: [Socket; 2],
    /// Subscribers, whether each is a witness, and the server's RTCP port for it.
    pub viewers: Vec<(usize, bool, u16)>,
}

impl Reporters {
    /// Reports at an even pace, one viewer after the other.
    pub fn report(&self, progress: &Progress) -> Result<()> {
        if self.viewers.is_empty() {
            return Err(Error::other("noise: nobody plays over UDP"));
        }
        let mut viewers = self.viewers.iter().cycle();
        let mut due_ns = sys::monotonic_ns();
        while progress.goes_on() {
            for &(subscriber, witness, port) in viewers.by_ref().take(REPORTS_PER_TURN as usize) {
                let (socket, to) =
                    (&self.sockets[usize::from(witness)], SocketAddrV4::new(self.server, port));
                let report = receiver_report(subscriber as u32);
                sys::send_from(socket, address_plan::subscriber(subscriber), &to, &report)?;
                progress.count(true);
            }
            due_ns += REPORTS_PER_TURN * 1_000_000_000 / REPORTS_PER_S;
            sys::sleep_until_ns(due_ns);
        }
        Ok(())
    }
}

/// A report of one who lost nothing, and an SDES with an empty CNAME (RFC 3550, 6.4.2 and 6.5).
fn receiver_report(subscriber: u32) -> Vec<u8> {
    let ssrc = (0x5245_0000 + subscriber).to_be_bytes();
    let mut report = vec![0x81, 201, 0, 7];
    report.extend(ssrc);
    report.extend(0x4d42_0000_u32.to_be_bytes());
    report.extend([0; 20]);
    report.extend([0x81, 202, 0, 2]);
    report.extend(ssrc);
    report.extend([1, 0, 0, 0]);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_long_as_it_says() {
        let report = receiver_report(7);
        let words = |at: usize| usize::from(u16::from_be_bytes([report[at + 2], report[at + 3]])) + 1;
        assert_eq!((words(0) + words(32)) * 4, report.len());
    }
}
