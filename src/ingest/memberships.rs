//! Who is joined where, and which memberships the network takes for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::Group;
use crate::relay::Track;

use super::rtp_receiver::RtpReceiver;

/// Between two times that a silent group is joined again.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// A socket that is joined to a group for a track.
#[derive(Clone)]
pub(super) struct Membership {
    pub group: Group,
    pub receiver: Arc<RtpReceiver>,
    pub track: Arc<Track>,
    renewed_at: Option<Instant>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Memberships(Vec<Membership>);

impl Memberships {
    pub fn add(&mut self, group: Group, receiver: Arc<RtpReceiver>, track: Arc<Track>) {
        self.0.push(Membership { group, receiver, track, renewed_at: None });
    }

    pub fn has(&self, port: u16, group: &Group, track: &Arc<Track>) -> bool {
        self.of(track).any(|joined| joined.group == *group && joined.receiver.port == port)
    }

    pub fn use_receiver(&self, receiver: &Arc<RtpReceiver>) -> bool {
        self.0.iter().any(|joined| Arc::ptr_eq(&joined.receiver, receiver))
    }

    /// The interface that each track is joined on.
    pub fn interfaces(&self) -> HashMap<*const Track, u32> {
        self.0.iter().map(|joined| (Arc::as_ptr(&joined.track), joined.group.interface)).collect()
    }

    /// Takes out those of a track on other interfaces than the one to keep.
    pub fn take(&mut self, track: &Arc<Track>, keep: Option<u32>) -> Vec<Membership> {
        let goes = |joined: &mut Membership| {
            Arc::ptr_eq(&joined.track, track) && Some(joined.group.interface) != keep
        };
        self.0.extract_if(.., goes).collect()
    }

    pub fn take_all(&mut self) -> Vec<Membership> {
        std::mem::take(&mut self.0)
    }

    /// Joins a track's group again where nothing of it comes; returns whether it did, and takes out what could not be.
    ///
    /// The network hears of it only when the last socket of this machine leaves the group on that link, and the first
    /// one joins: so all of them do, whatever their track. And while any of them gets something, none does.
    pub fn renew(&mut self, track: &Arc<Track>, now: Instant) -> (bool, Vec<Membership>) {
        let Some(group) = self.of(track).next().map(|joined| joined.group) else {
            return (false, Vec::new());
        };
        let Some(together) = self.told_as_one(&group) else { return (false, Vec::new()) };
        let lately = |at: &usize| self.0[*at].renewed_at.is_some_and(|at| now < at + RENEW_EVERY);
        if together.iter().any(lately) {
            return (false, Vec::new());
        }
        for joined in together.iter().map(|at| &self.0[*at]) {
            joined.receiver.leave_for_a_moment(&joined.group);
        }
        let mut failed = Vec::new();
        for &at in &together {
            let joined = &mut self.0[at];
            joined.renewed_at = Some(now);
            if joined.receiver.join_again(&joined.group).is_err() {
                failed.push(at);
            }
        }
        (true, failed.into_iter().rev().map(|at| self.0.remove(at)).collect())
    }

    /// The silent memberships that stand or fall with a group's; `None`: something comes to one of them.
    ///
    /// Hosts of IGMPv2 know no sources, and who joins a group from any source asks for all of them (RFC 3376, 3.2). So
    /// only where something comes from another source, and all ask for sources of their own, one is renewed alone.
    fn told_as_one(&self, group: &Group) -> Option<Vec<usize>> {
        let on_link = |at: &usize| {
            let other = &self.0[*at].group;
            (other.address, other.interface) == (group.address, group.interface)
        };
        let on_link: Vec<_> = (0..self.0.len()).filter(on_link).collect();
        let all_silent = |places: &[usize]| places.iter().all(|at| self.0[*at].track.is_silent());
        if all_silent(&on_link) {
            return Some(on_link);
        }
        if on_link.iter().any(|at| self.0[*at].group.source.is_none()) {
            return None;
        }
        let alone: Vec<_> = on_link.into_iter().filter(|at| self.0[*at].group == *group).collect();
        all_silent(&alone).then_some(alone)
    }

    fn of(&self, track: &Arc<Track>) -> impl Iterator<Item = &Membership> {
        self.0.iter().filter(move |joined| Arc::ptr_eq(&joined.track, track))
    }
}
