//! What each client address holds: the one table that all who give something to a client ask.
//!
//! What is given is a [`Share`], which gives itself back as it goes. An address that holds nothing is not in the table,
//! so the limits bound the table too.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::event::{Work, lock};

use super::guesses::Guesses;
use super::turns::Turns;

/// What an address may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Good {
    /// Connections.
    Connections,
    /// Sessions.
    Sessions,
    /// Bytes of requests that are not whole, and of replies that are not read.
    UnreadBytes,
    /// Bits a second of the tracks that it has set up.
    Egress,
}

/// How much of each an address may hold.
#[derive(Debug, Clone, Copy)]
pub struct PerAddress {
    pub connections: u64,
    pub sessions: u64,
    pub unread_bytes: u64,
    pub egress: u64,
}

/// The addresses that hold something.
pub struct Addresses {
    limits: PerAddress,
    accounts: Mutex<HashMap<IpAddr, Weak<Account>>>,
    this: Weak<Self>,
}

/// What one address holds.
pub struct Account {
    address: IpAddr,
    limits: PerAddress,
    held: [AtomicU64; 4],
    /// Whose requests are answered next.
    pub turns: Turns<dyn Work>,
    /// Sessions of others that it has asked for.
    pub guesses: Guesses,
    table: Weak<Addresses>,
}

/// Something that an address holds, for as long as this lives.
pub struct Share {
    account: Arc<Account>,
    good: Good,
    amount: u64,
}

impl Addresses {
    pub fn new(limits: PerAddress) -> Arc<Self> {
        Arc::new_cyclic(|this| Self { limits, accounts: Mutex::default(), this: this.clone() })
    }

    /// The account of a client.
    pub fn account(&self, client: IpAddr) -> Arc<Account> {
        let address = counted_as(client);
        let mut accounts = self.accounts();
        if let Some(account) = accounts.get(&address).and_then(Weak::upgrade) {
            return account;
        }
        let (limits, held, table) = (self.limits, Default::default(), self.this.clone());
        let (turns, guesses) = (Turns::default(), Guesses::default());
        let account = Arc::new(Account { address, limits, held, turns, guesses, table });
        accounts.insert(address, Arc::downgrade(&account));
        account
    }

    /// Whether nobody holds anything.
    #[cfg(all(test, not(model)))]
    pub fn is_empty(&self) -> bool {
        self.accounts().is_empty()
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<IpAddr, Weak<Account>>> {
        lock(&self.accounts)
    }
}

impl Account {
    /// Takes so much of something. `None`: the address would hold more than it may.
    pub fn take(self: &Arc<Self>, good: Good, amount: u64) -> Option<Share> {
        let mut share = Share { account: self.clone(), good, amount: 0 };
        share.change(amount).then_some(share)
    }

    /// How much it holds.
    #[cfg(any(all(test, not(model)), fuzzing))]
    pub fn held(&self, good: Good) -> u64 {
        self.held[good as usize].load(Relaxed)
    }

    fn limit(&self, good: Good) -> u64 {
        match good {
            Good::Connections => self.limits.connections,
            Good::Sessions => self.limits.sessions,
            Good::UnreadBytes => self.limits.unread_bytes,
            Good::Egress => self.limits.egress,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        let mut accounts = table.accounts();
        // The address may have come again, with an account of its own.
        if accounts.get(&self.address).is_some_and(|account| account.strong_count() == 0) {
            accounts.remove(&self.address);
        }
    }
}

impl Share {
    /// What is held.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Holds so much from now on. `false`: that would be more than the address may hold, and nothing has changed. To
    /// hold less is always right.
    #[must_use]
    pub fn change(&mut self, amount: u64) -> bool {
        let limit = self.account.limit(self.good);
        let (before, is_more) = (self.amount, amount > self.amount);
        let held = &self.account.held[self.good as usize];
        let changed = held.fetch_update(Relaxed, Relaxed, |held| {
            let held = (held - before).saturating_add(amount);
            (held <= limit || !is_more).then_some(held)
        });
        if changed.is_ok() {
            self.amount = amount;
        }
        changed.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.account.held[self.good as usize].fetch_sub(self.amount, Relaxed);
    }
}

/// A host has a whole /64 of IPv6 to itself (RFC 6177), so the network is what is counted; but on a link all share one.
pub fn counted_as(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: PerAddress = PerAddress { connections: 2, sessions: 1, unread_bytes: 100, egress: 1000 };

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_holds_up_to_its_limit_and_the_others_are_not_asked() {
        let addresses = Addresses::new(LIMITS);
        let (own, other) = (addresses.account(ip("192.0.2.1")), addresses.account(ip("192.0.2.2")));
        let held = [own.take(Good::Connections, 1), own.take(Good::Connections, 1)];
        assert!(held.iter().all(Option::is_some));
        assert!(own.take(Good::Connections, 1).is_none());
        assert!(own.take(Good::Sessions, 1).is_some(), "one good is not another");
        assert!(other.take(Good::Connections, 2).is_some());
        drop(held);
        assert!(addresses.account(ip("192.0.2.1")).take(Good::Connections, 2).is_some());
    }

    #[test]
    fn a_share_grows_within_the_limit_and_shrinks_always() {
        let account = Addresses::new(LIMITS).account(ip("192.0.2.1"));
        let mut first = account.take(Good::UnreadBytes, 60).expect("room");
        let mut second = account.take(Good::UnreadBytes, 0).expect("room");
        assert!(second.change(40));
        assert!(!first.change(61), "100 is all there is");
        assert!(second.change(10) && first.change(90));
        drop(first);
        assert!(second.change(100));
    }

    #[test]
    fn who_counts_as_one() {
        for (client, counted) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
            ("2001:db8:0:1:ffff::9", "2001:db8:0:1::"),
            ("2001:db8:0:2::1", "2001:db8:0:2::"),
            ("fe80::1:2", "fe80::1:2"),
        ] {
            assert_eq!(counted_as(ip(client)), ip(counted), "{client}");
        }
    }

    #[test]
    fn hosts_of_one_network_of_ipv6_share_an_account() {
        let addresses = Addresses::new(LIMITS);
        let held = addresses.account(ip("2001:db8:0:1::1")).take(Good::Sessions, 1);
        assert!(addresses.account(ip("2001:db8:0:1:ffff::9")).take(Good::Sessions, 1).is_none());
        assert!(addresses.account(ip("2001:db8:0:2::1")).take(Good::Sessions, 1).is_some());
        drop(held);
        assert!(addresses.account(ip("2001:db8:0:1:ffff::9")).take(Good::Sessions, 1).is_some());
    }

    #[test]
    fn an_address_that_holds_nothing_is_forgotten() {
        let addresses = Addresses::new(LIMITS);
        let shares: Vec<_> =
            (0..100).map(|n| addresses.account([10, 0, 0, n].into()).take(Good::Sessions, 1)).collect();
        assert_eq!(addresses.accounts().len(), 100);
        drop(shares);
        assert!(addresses.accounts().is_empty());
        assert!(addresses.account(ip("10.0.0.1")).take(Good::Sessions, 2).is_none());
        assert!(addresses.accounts().is_empty(), "nor one that was refused");
    }

    proptest! {
        /// Whatever is taken, changed and given back: what is held is what the shares say, and within the limit.
        #[test]
        fn the_books_balance(steps in prop::collection::vec((0..4usize, 0..60u64), 0..60)) {
            let account = Addresses::new(LIMITS).account(ip("192.0.2.1"));
            let mut shares: Vec<Option<Share>> = (0..4).map(|_| None).collect();
            for (place, amount) in steps {
                match &mut shares[place] {
                    Some(share) if amount > 0 => drop(share.change(amount)),
                    taken @ Some(_) => *taken = None,
                    free => *free = account.take(Good::UnreadBytes, amount),
                }
                let held: u64 = shares.iter().flatten().map(|share| share.amount).sum();
                prop_assert_eq!(account.held[Good::UnreadBytes as usize].load(Relaxed), held);
                prop_assert!(held <= LIMITS.unread_bytes);
            }
        }
    }
}
