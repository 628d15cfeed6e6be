//! What was heard, and what is to be said of it. `docs/operations.md` describes every figure.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ingest::{advice, perhaps_in_the_way};
use crate::net::{GroupProtocol, RECEIVE_BUFFER_BYTES};
use crate::ops::config::{Interface, Remark, remark};
use crate::ops::machine::place::Place;
use crate::wire::packetizer::MP2T;
use crate::wire::sdp::Feed;

use super::hearing::{Hearing, Verdict};
use super::plan::ListenSource;

/// What was heard of a source.
#[derive(Debug)]
pub struct Report {
    pub(super) source: ListenSource,
    pub(super) length: Duration,
    pub(super) is_interrupted: bool,
    /// The end, by the clock that arrivals are told by.
    pub(super) ended: Duration,
    pub(super) tracks: Vec<Heard>,
}

/// What was heard of one of its tracks.
#[derive(Debug)]
pub struct Heard {
    /// Where it is joined.
    pub place: Place,
    /// By which protocol.
    pub protocol: Option<GroupProtocol>,
    /// Where it was to be joined; by route where absent.
    pub interface: Option<Interface>,
    /// What came.
    pub hearing: Hearing,
    /// What the kernel gave a socket to keep datagrams in.
    pub buffer_bytes: usize,
    /// Datagrams that this had no room for.
    pub dropped: u64,
}

impl Report {
    /// Whether every track was heard, and is what the source says.
    pub fn is_as_said(&self) -> bool {
        self.tracks.iter().all(|track| track.hearing.verdict() == Verdict::AsSaid)
    }
}

impl Heard {
    /// The group and port.
    pub fn group(&self) -> SocketAddr {
        SocketAddr::new(self.hearing.feed.group, self.hearing.feed.port)
    }

    /// How it is joined.
    pub fn joined(&self, length: Duration) -> String {
        let Self { place, hearing, .. } = self;
        let (group, of, seconds) = (self.group(), &hearing.feed.filter, length.as_secs());
        let addresses: Vec<_> = place.addresses.iter().map(ToString::to_string).collect();
        let on = match addresses.join(", ") {
            _ if place.index == 0 => "any interface".to_owned(),
            none if none.is_empty() => format!("{} (no address)", place.name),
            addresses => format!("{} ({addresses})", place.name),
        };
        let how = if place.is_by_route { "by route" } else { "as named" };
        match self.protocol {
            Some(protocol) => {
                format!("{group} on {on}, {how}: joined for {of} by {protocol}, listening for {seconds} s")
            }
            None => format!("{group} on {on}: no group, from {of}, listening for {seconds} s"),
        }
    }

    /// What may be wrong, each with its remedy.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.of_the_network();
        let description = &self.hearing.description;
        let types = || self.hearing.senders.iter().flat_map(|(_, sender)| &sender.streams);
        let is_foreign = |payload_type: &u8| !description.payload_types.contains(payload_type);
        if description.payload_types == [MP2T.0] && types().flat_map(|one| &one.payload_types).any(is_foreign)
        {
            let remedy = "describe them in a session description (sdp = \"FILE\")";
            notes.push(format!("other payload types than 33, MPEG-TS, come; {remedy}"));
        }
        notes.extend(self.of_several_senders());
        let feed = &self.hearing.feed;
        if !feed.is_muxed() && self.hearing.control.not_rtcp > 0 {
            let port = feed.rtcp_port.unwrap_or_default();
            notes
                .push(format!("what comes on port {port} is no RTCP: the next channel's media, most likely"));
        }
        notes
    }

    /// Several where one is expected: hosts that were named are.
    fn of_several_senders(&self) -> Option<String> {
        let senders = &self.hearing.senders;
        let hosts: BTreeSet<_> = senders.iter().map(|(address, _)| address.ip()).collect();
        let named = self.hearing.feed.filter.named();
        if senders.len() < 2 || hosts.len() == senders.len() && hosts.iter().all(|host| named.contains(host))
        {
            return None;
        }
        let told = senders.iter().map(|(address, _)| address.to_string()).collect::<Vec<_>>().join(", ");
        let remedy = match hosts.len() {
            1 => "they are one host, which sends twice or has begun anew: see what runs there",
            _ => "stop all but one, or name it as the source in front of an @",
        };
        Some(format!("several senders: {told}; {remedy}"))
    }

    fn of_the_network(&self) -> Vec<String> {
        let Feed { group, filter, .. } = &self.hearing.feed;
        let mut notes = Vec::new();
        if let Some(Remark::Wrong(told) | Remark::Worse(told)) =
            remark(*group, filter, self.interface.as_ref())
        {
            notes.push(told);
        }
        let name = &self.place.name;
        notes.extend(self.place.in_the_way(*group, filter));
        if self.hearing.verdict() == Verdict::Nothing {
            notes.push(advice(*group, filter, name));
            notes.extend(perhaps_in_the_way(name, *group, filter));
        }
        if self.dropped > 0 {
            let (dropped, bytes) = (self.dropped, self.buffer_bytes);
            let capped =
                if bytes < RECEIVE_BUFFER_BYTES { "; set sysctl net.core.rmem_max=16777216" } else { "" };
            notes.push(format!(
                "{dropped} datagrams were lost in this machine, not in the network: the buffer of {bytes} bytes was full{capped}"
            ));
        }
        notes
    }
}
