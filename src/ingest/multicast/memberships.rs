//! Who is joined where, and which memberships the network takes for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::net::Group;
use crate::relay::Track;
use crate::wire::sdp::Feed;

use super::super::leg::Leg;
use super::network_watch::Networks;
use super::routes::{Kind, Route};
use super::rtp_receiver::RtpReceiver;

/// Between two times that a silent group is joined again.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// What is joined for a feed on an interface: its group, once for each sender that is named.
#[must_use]
pub fn groups_of(feed: &Feed, interface: u32) -> Vec<Group> {
    let filter = &feed.filter;
    let group = |source| {
        let (address, except) = (feed.group, filter.excluded().to_vec());
        Group { address, source, except, interface }
    };
    match filter.named() {
        [] => vec![group(None)],
        named => named.iter().map(|source| group(Some(*source))).collect(),
    }
}

/// A socket that is joined to a group for a leg. Several of one socket and group are one to the kernel.
#[derive(Clone)]
pub(super) struct Membership {
    pub group: Group,
    pub receiver: Arc<RtpReceiver>,
    pub route: Route,
    renewed_at: Option<Instant>,
}

impl Membership {
    /// Whether both are one to the kernel.
    fn is(&self, other: &Self) -> bool {
        self.group == other.group && Arc::ptr_eq(&self.receiver, &other.receiver)
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Memberships(Vec<Membership>);

impl Memberships {
    pub fn add(&mut self, group: Group, receiver: Arc<RtpReceiver>, route: Route) {
        self.0.push(Membership { group, receiver, route, renewed_at: None });
    }

    pub fn has(&self, port: u16, group: &Group, leg: &Arc<Leg>) -> bool {
        self.of(leg).any(|joined| joined.group == *group && joined.receiver.port == port)
    }

    pub fn use_receiver(&self, receiver: &Arc<RtpReceiver>) -> bool {
        self.0.iter().any(|joined| Arc::ptr_eq(&joined.receiver, receiver))
    }

    /// The sockets that a track's media comes to.
    pub fn receivers_of(&self, track: &Arc<Track>) -> Vec<Arc<RtpReceiver>> {
        let is_its = |joined: &&Membership| {
            joined.route.kind == Kind::Media && Arc::ptr_eq(&joined.route.leg.track, track)
        };
        let mut receivers = Vec::<Arc<RtpReceiver>>::new();
        for joined in self.0.iter().filter(is_its) {
            if !receivers.iter().any(|known| Arc::ptr_eq(known, &joined.receiver)) {
                receivers.push(joined.receiver.clone());
            }
        }
        receivers
    }

    /// The interface that each leg is joined on.
    pub fn interfaces(&self) -> HashMap<usize, u32> {
        self.0.iter().map(|joined| (Arc::as_ptr(&joined.route.leg).addr(), joined.group.interface)).collect()
    }

    pub fn interface_of(&self, leg: &Arc<Leg>) -> Option<u32> {
        self.of(leg).next().map(|joined| joined.group.interface)
    }

    /// Takes out those of a leg on other interfaces than the one to keep.
    pub fn take(&mut self, leg: &Arc<Leg>, keep: Option<u32>) -> Vec<Membership> {
        let goes = |joined: &mut Membership| {
            Arc::ptr_eq(&joined.route.leg, leg) && Some(joined.group.interface) != keep
        };
        self.0.extract_if(.., goes).collect()
    }

    pub fn take_all(&mut self) -> Vec<Membership> {
        std::mem::take(&mut self.0)
    }

    /// Takes out those on sockets that only fail.
    pub fn take_failed(&mut self) -> Vec<Membership> {
        self.0.extract_if(.., |joined| joined.receiver.has_failed()).collect()
    }

    /// Takes out those that could not be joined again, and what is one with them to the kernel.
    pub fn take_out(&mut self, gone: &[Membership]) -> Vec<Membership> {
        self.0.extract_if(.., |joined| gone.iter().any(|gone| gone.is(joined))).collect()
    }

    /// What is to be left and joined again with a silent leg's group, each that the kernel knows once, and counts as
    /// renewed from now on; nothing where something of it comes, or it was renewed lately.
    ///
    /// The network hears of it only when the last socket of this machine leaves the group on that link, and the first
    /// one joins: so all of them do, whatever their track. And while any of them gets something, none does.
    pub fn due_together(&mut self, leg: &Arc<Leg>, now: Instant) -> Vec<Membership> {
        let groups: Vec<_> = self.of(leg).map(|joined| joined.group.clone()).collect();
        let together = self.told_as_one(&groups).unwrap_or_default();
        let lately = |at: &usize| self.0[*at].renewed_at.is_some_and(|at| now < at + RENEW_EVERY);
        if together.iter().any(lately) {
            return Vec::new();
        }
        let mut renewed = Vec::<Membership>::new();
        for at in together {
            self.0[at].renewed_at = Some(now);
            if !renewed.iter().any(|other| other.is(&self.0[at])) {
                renewed.push(self.0[at].clone());
            }
        }
        renewed
    }

    /// The networks that groups are joined on.
    pub fn networks(&self) -> Networks {
        let mut networks = Networks::new();
        for group in self.0.iter().map(|joined| &joined.group).filter(|group| group.address.is_multicast()) {
            let names = group.source.is_some() || !group.except.is_empty();
            *networks.entry((group.interface, group.address.is_ipv4())).or_default() |= names;
        }
        networks
    }

    /// These are not counted as renewed lately.
    pub fn forget_renewals(&mut self, of: &[Membership]) {
        for joined in self.0.iter_mut().filter(|joined| of.iter().any(|of| of.group == joined.group)) {
            joined.renewed_at = None;
        }
    }

    /// Of each group and interface that any such membership is of, all.
    pub fn alike(&self, is_meant: impl Fn(&Membership) -> bool) -> Vec<Vec<Membership>> {
        let place = |joined: &Membership| (joined.group.address, joined.group.interface);
        let meant = self.0.iter().filter(|joined| joined.group.address.is_multicast() && is_meant(joined));
        let mut alike: HashMap<_, Vec<_>> = meant.map(|joined| (place(joined), Vec::new())).collect();
        for joined in &self.0 {
            if let Some(alike) = alike.get_mut(&place(joined)) {
                alike.push(joined.clone());
            }
        }
        alike.into_values().collect()
    }

    /// The silent memberships that stand or fall with a leg's, which has these groups; `None`: something comes to one of them,
    /// or there is nobody to tell.
    ///
    /// Hosts of IGMPv2 know no sources, and who joins a group from any source asks for all of them (RFC 3376, 3.2). So
    /// only where something comes from another source, and all ask for sources of their own, one is renewed alone.
    fn told_as_one(&self, groups: &[Group]) -> Option<Vec<usize>> {
        let group = groups.first().filter(|group| group.address.is_multicast())?;
        let on_link = |at: &usize| {
            let other = &self.0[*at].group;
            (other.address, other.interface) == (group.address, group.interface)
        };
        let on_link: Vec<_> = (0..self.0.len()).filter(on_link).collect();
        let all_silent = |places: &[usize]| places.iter().all(|at| self.0[*at].route.leg.is_silent());
        if all_silent(&on_link) {
            return Some(on_link);
        }
        if on_link.iter().any(|at| self.0[*at].group.source.is_none()) {
            return None;
        }
        let alone: Vec<_> = on_link.into_iter().filter(|at| groups.contains(&self.0[*at].group)).collect();
        all_silent(&alone).then_some(alone)
    }

    fn of(&self, leg: &Arc<Leg>) -> impl Iterator<Item = &Membership> {
        self.0.iter().filter(move |joined| Arc::ptr_eq(&joined.route.leg, leg))
    }
}
