//! Groups that the network is told of again while they are received, without being left: now and then where its querier never
//! comes (`renew`), and where its link was away. By IGMPv2 and MLDv1 that can not be done: what flows is left alone.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::event::{Task, Work, clock, lock};
use crate::net::{GroupProtocol, Turned, igmp_versions, interface_name, mean_any};
use crate::relay::Channel;

use super::super::obstacles::no_renewals;
use super::heard::{Asking, Heard};
use super::joinings::Joinings;
use super::memberships::Membership;

/// So long it is heard who sends, before the network is told: of who does, nothing is lost.
const HEAR_FOR: Duration = Duration::from_millis(300);

/// All renewals, and what they have come to.
pub(super) struct Renewals {
    joinings: Arc<Joinings>,
    /// Groups that the network was told of again without being left.
    pub told: AtomicU64,
    /// Interfaces of which it was said that nothing can be told there; of IPv4 or not.
    mute: Mutex<HashSet<(u32, bool)>>,
    /// Interfaces whose groups are about to be told of.
    due: Mutex<HashSet<u32>>,
}

/// One that is under way, or due.
struct Renewal {
    all: Arc<Renewals>,
    of: Of,
    /// Of whom it is heard who sends, while it is under way.
    asking: Mutex<Vec<Asking>>,
    /// What is to be told of yet.
    rest: Mutex<Vec<Vec<Membership>>>,
}

enum Of {
    /// All groups of a channel, each so often.
    Channel(Weak<Channel>, Duration),
    /// All groups on these interfaces, once.
    Interfaces(Vec<u32>),
}

impl Of {
    fn has(&self, joined: &Membership) -> bool {
        match self {
            Self::Channel(channel, _) => channel.upgrade().is_some_and(|channel| {
                channel.tracks.iter().any(|track| Arc::ptr_eq(track, joined.route.track()))
            }),
            Self::Interfaces(interfaces) => interfaces.contains(&joined.group.interface),
        }
    }
}

impl Renewals {
    pub fn new(joinings: Arc<Joinings>) -> Arc<Self> {
        Arc::new(Self { joinings, told: AtomicU64::new(0), mute: Mutex::default(), due: Mutex::default() })
    }

    /// Tells the network of a channel's groups so often, whether or not anybody asks.
    pub fn renew_each(self: &Arc<Self>, channel: &Arc<Channel>, every: Duration) {
        self.renew_later(Of::Channel(Arc::downgrade(channel), every), every);
    }

    /// Tells the network of all groups on interfaces that it was away from. Where that is about to be done it is done once.
    pub fn renew_on(self: &Arc<Self>, mut interfaces: Vec<u32>) {
        interfaces.retain(|index| lock(&self.due).insert(*index));
        if !interfaces.is_empty() {
            self.renew_later(Of::Interfaces(interfaces), HEAR_FOR);
        }
    }

    fn renew_later(self: &Arc<Self>, of: Of, within: Duration) {
        let (all, asking, rest) = (self.clone(), Mutex::default(), Mutex::default());
        let renewal = Task::new("Renew", Arc::new(Renewal { all, of, asking, rest }));
        self.joinings.timers.at(clock::now() + within.saturating_sub(HEAR_FOR), renewal);
    }

    /// What is to be told of, each group and interface by itself.
    fn alike(&self, of: &Of) -> Vec<Vec<Membership>> {
        self.joinings.sockets.state().memberships.alike(|joined| of.has(joined))
    }

    /// Asks who sends to groups, of all sockets that have them.
    fn asking(&self, of: &Of) -> Vec<Asking> {
        let mut asked = Vec::<Arc<Heard>>::new();
        for joined in self.alike(of).into_iter().flatten() {
            let heard = &joined.receiver.heard;
            if !asked.iter().any(|other| Arc::ptr_eq(other, heard)) {
                asked.push(heard.clone());
            }
        }
        asked.into_iter().map(Asking::of).collect()
    }

    /// Turns the filters of the memberships of one group and interface round and back: all of them, whoever has them, for the network
    /// is told what they ask for together. `false`: by that protocol it would be told nothing.
    fn tell_again(&self, together: &[Membership], protocols: &mut Protocols) -> bool {
        let Some(first) = together.first() else { return true };
        if !protocols.of(first.group.interface, first.group.address.is_ipv4()).tells_sources() {
            return false;
        }
        let sockets = &self.joinings.sockets;
        let _operations = lock(&sockets.operations);
        match turn_round(together) {
            Ok(is_told) => drop(self.told.fetch_add(u64::from(is_told), Relaxed)),
            Err(lost) => sockets.give_up(&lost),
        }
        true
    }

    /// Joins silent groups again at once that come by an interface that was away. What flows is left alone.
    fn renew_silent(&self, joined: &[Membership]) {
        self.joinings.sockets.state().memberships.forget_renewals(joined);
        joined.iter().for_each(|joined| self.joinings.renew(joined.route.track(), clock::now()));
    }

    fn say_mute(&self, joined: &[Membership]) {
        for group in joined.iter().map(|joined| &joined.group) {
            if !lock(&self.mute).insert((group.interface, group.address.is_ipv4())) {
                continue;
            }
            let Some(interface) = interface_name(group.interface) else { continue };
            let protocol = GroupProtocol::of(group.interface, &interface, group.address.is_ipv4());
            if let Some(told) = no_renewals(protocol, &interface) {
                tracing::warn!(interface, "{told}");
            }
        }
    }
}

/// Whose filters are turned round, so that the network is told: while any sender is meant, all sockets that mean any, or it would
/// still be; none where all name theirs.
fn to_turn(together: &[Membership]) -> Vec<&Membership> {
    let mut of_any = Vec::<&Membership>::new();
    for joined in together.iter().filter(|joined| joined.group.source.is_none()) {
        // One of a socket, whatever tracks it has it for.
        if !of_any.iter().any(|other| Arc::ptr_eq(&other.receiver, &joined.receiver)) {
            of_any.push(joined);
        }
    }
    of_any
}

/// Whether the network will be told. `Err`: these are to be left, for they did not come back to what they were.
fn turn_round(together: &[Membership]) -> Result<bool, Vec<Membership>> {
    let turns = to_turn(together);
    if turns.is_empty() {
        return Ok(together.first().is_none_or(|first| mean_any(&first.group).is_ok()));
    }
    let mut is_told = true;
    let mut turned = Vec::<(&Membership, Turned)>::new();
    for joined in turns {
        match joined.receiver.turn(&joined.group) {
            Ok(back) => turned.push((joined, back)),
            Err(error) => {
                tracing::debug!(group = %joined.group.address, %error, "the network is not told again");
                is_told = false;
                break;
            }
        }
    }
    let lost: Vec<_> = turned
        .iter()
        .filter_map(|(joined, back)| {
            let error = joined.receiver.turn_back(&joined.group, back).err()?;
            tracing::warn!(group = %joined.group.address, "a group is to be joined again: {error}");
            Some(&joined.receiver)
        })
        .collect();
    if lost.is_empty() {
        return Ok(is_told);
    }
    let is_lost = |joined: &&Membership| lost.iter().any(|lost| Arc::ptr_eq(lost, &joined.receiver));
    Err(together.iter().filter(is_lost).cloned().collect())
}

/// What is spoken on interfaces, each asked for once.
#[derive(Default)]
struct Protocols {
    igmp: Option<HashMap<u32, u8>>,
    known: HashMap<(u32, bool), GroupProtocol>,
}

impl Protocols {
    fn of(&mut self, interface: u32, is_ipv4: bool) -> GroupProtocol {
        let Self { igmp, known } = self;
        *known.entry((interface, is_ipv4)).or_insert_with(|| match is_ipv4 {
            true => GroupProtocol::igmp(igmp.get_or_insert_with(igmp_versions), interface),
            false => GroupProtocol::mld(&interface_name(interface).unwrap_or_default()),
        })
    }
}

impl Work for Renewal {
    /// Several times for each time: to begin to hear who sends, and to tell, as much as a turn takes.
    fn run(self: Arc<Self>) {
        if lock(&self.asking).is_empty() {
            *lock(&self.asking) = self.all.asking(&self.of);
        } else if !self.tell() {
            return self.all.joinings.queue().push(Task::new("Renew", self.clone()));
        }
        self.go_on();
    }

    fn close(self: Arc<Self>) {
        self.all.joinings.timers.vitals().fault("watch");
        self.end();
        self.go_on();
    }
}

impl Renewal {
    /// `false`: there is more to tell of.
    fn tell(&self) -> bool {
        let (turn_ends, mut protocols) = (self.all.joinings.turn_ends(), Protocols::default());
        let mut rest = lock(&self.rest);
        if rest.is_empty() {
            self.is_due_no_more(); // what changes from here on is told of another time
            *rest = self.all.alike(&self.of);
        }
        while let Some(together) = rest.pop() {
            if !self.all.tell_again(&together, &mut protocols) {
                match self.of {
                    Of::Channel(..) => self.all.say_mute(&together),
                    Of::Interfaces(_) => self.all.renew_silent(&together),
                }
            }
            if clock::now() >= turn_ends && !rest.is_empty() {
                return false;
            }
        }
        drop(rest);
        self.end();
        true
    }

    fn end(&self) {
        lock(&self.rest).clear();
        let asking = mem::take(&mut *lock(&self.asking));
        drop(asking);
    }

    fn is_due_no_more(&self) {
        if let Of::Interfaces(interfaces) = &self.of {
            lock(&self.all.due).retain(|index| !interfaces.contains(index));
        }
    }

    fn go_on(self: Arc<Self>) {
        let is_under_way = !lock(&self.asking).is_empty();
        let next = match &self.of {
            _ if is_under_way => HEAR_FOR,
            Of::Channel(channel, every) if channel.strong_count() > 0 => every.saturating_sub(HEAR_FOR),
            _ => return self.is_due_no_more(),
        };
        self.all.joinings.timers.at(clock::now() + next, Task::new("Renew", self.clone()));
    }
}
