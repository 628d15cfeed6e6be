//! What each client address holds: the one table that all who give something to a client ask.
//!
//! What is given is a [`Share`], which gives itself back as it goes. An address that holds nothing is not in the table,
//! so the limits bound the table too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::event::{Work, lock};
use crate::net::counted_as;

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

/// Who holds too much already for something to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The address.
    Address,
    /// All addresses together.
    All,
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
    limits: Arc<Mutex<PerAddress>>,
    /// Media of all of them.
    egress: Arc<Total>,
    accounts: Mutex<HashMap<IpAddr, Weak<Account>>>,
    this: Weak<Self>,
}

/// What all addresses hold together.
struct Total {
    limit: AtomicU64,
    held: AtomicU64,
}

/// What one address holds.
pub struct Account {
    address: IpAddr,
    limits: Arc<Mutex<PerAddress>>,
    egress: Arc<Total>,
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
    /// `egress` is what all of them may hold of it together.
    pub fn new(limits: PerAddress, egress: u64) -> Arc<Self> {
        let egress = Arc::new(Total { limit: AtomicU64::new(egress), held: AtomicU64::new(0) });
        let (limits, accounts) = (Arc::new(Mutex::new(limits)), Mutex::default());
        Arc::new_cyclic(|this| Self { limits, egress, accounts, this: this.clone() })
    }

    /// They may hold so much from now on. Who holds more keeps it.
    pub fn limit(&self, limits: PerAddress, egress: u64) {
        *lock(&self.limits) = limits;
        self.egress.limit.store(egress, Relaxed);
    }

    /// Bits a second of all the tracks that are set up.
    pub fn egress(&self) -> u64 {
        self.egress.held.load(Relaxed)
    }

    /// The account of a client.
    pub fn account(&self, client: IpAddr) -> Arc<Account> {
        let address = counted_as(client);
        let mut accounts = self.accounts();
        if let Some(account) = accounts.get(&address).and_then(Weak::upgrade) {
            return account;
        }
        let (limits, egress, table) = (self.limits.clone(), self.egress.clone(), self.this.clone());
        let (held, turns, guesses) = (Default::default(), Turns::default(), Guesses::default());
        let account = Arc::new(Account { address, limits, egress, held, turns, guesses, table });
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
    /// Takes so much of something.
    pub fn take(self: &Arc<Self>, good: Good, amount: u64) -> Result<Share, Beyond> {
        let mut share = Share { account: self.clone(), good, amount: 0 };
        share.change(amount).map(|()| share)
    }

    /// Takes over so much of what it had elsewhere, whatever the limits are by now.
    pub fn take_over(self: &Arc<Self>, good: Good, amount: u64) -> Share {
        let mut share = Share { account: self.clone(), good, amount: 0 };
        exchange(&self.held[good as usize], 0, amount, u64::MAX);
        if let Some(all) = share.of_all() {
            exchange(&all.held, 0, amount, u64::MAX);
        }
        share.amount = amount;
        share
    }

    /// How much it holds.
    #[cfg(any(all(test, not(model)), fuzzing))]
    pub fn held(&self, good: Good) -> u64 {
        self.held[good as usize].load(Relaxed)
    }

    fn limit(&self, good: Good) -> u64 {
        let limits = lock(&self.limits);
        match good {
            Good::Connections => limits.connections,
            Good::Sessions => limits.sessions,
            Good::UnreadBytes => limits.unread_bytes,
            Good::Egress => limits.egress,
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

    /// Holds so much from now on, or as much as before where that would be too much. To hold less is always right.
    pub fn change(&mut self, amount: u64) -> Result<(), Beyond> {
        let (own, before) = (&self.account.held[self.good as usize], self.amount);
        if !exchange(own, before, amount, self.account.limit(self.good)) {
            return Err(Beyond::Address);
        }
        if let Some(all) = self.of_all()
            && !exchange(&all.held, before, amount, all.limit.load(Relaxed))
        {
            exchange(own, amount, before, u64::MAX);
            return Err(Beyond::All);
        }
        self.amount = amount;
        Ok(())
    }

    /// What it is a part of beside what its address holds.
    fn of_all(&self) -> Option<&Total> {
        (self.good == Good::Egress).then_some(&*self.account.egress)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let all = self.of_all().map(|all| &all.held);
        [Some(&self.account.held[self.good as usize]), all].into_iter().flatten().for_each(|held| {
            held.fetch_sub(self.amount, Relaxed);
        });
    }
}

/// Puts an amount in the place of another. `false`: it is more, and would be too much.
fn exchange(held: &AtomicU64, before: u64, after: u64, limit: u64) -> bool {
    let changed = held.fetch_update(Relaxed, Relaxed, |held| {
        let held = (held - before).saturating_add(after);
        (held <= limit || after <= before).then_some(held)
    });
    changed.is_ok()
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
        let addresses = Addresses::new(LIMITS, u64::MAX);
        let (own, other) = (addresses.account(ip("192.0.2.1")), addresses.account(ip("192.0.2.2")));
        let held = [own.take(Good::Connections, 1), own.take(Good::Connections, 1)];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(own.take(Good::Connections, 1).err(), Some(Beyond::Address));
        assert!(own.take(Good::Sessions, 1).is_ok(), "one good is not another");
        assert!(other.take(Good::Connections, 2).is_ok());
        drop(held);
        assert!(addresses.account(ip("192.0.2.1")).take(Good::Connections, 2).is_ok());
    }

    #[test]
    fn a_share_grows_within_the_limit_and_shrinks_always() {
        let account = Addresses::new(LIMITS, u64::MAX).account(ip("192.0.2.1"));
        let mut first = account.take(Good::UnreadBytes, 60).expect("room");
        let mut second = account.take(Good::UnreadBytes, 0).expect("room");
        assert!(second.change(40).is_ok());
        assert_eq!(first.change(61), Err(Beyond::Address), "100 is all there is");
        assert!(second.change(10).is_ok() && first.change(90).is_ok());
        drop(first);
        assert!(second.change(100).is_ok());
    }

    #[test]
    fn all_addresses_together_get_no_more_media_than_there_is() {
        let addresses = Addresses::new(LIMITS, 1500);
        let (one, other) = (addresses.account(ip("192.0.2.1")), addresses.account(ip("192.0.2.2")));
        let first = one.take(Good::Egress, 1000).expect("room");
        let mut second = other.take(Good::Egress, 500).expect("room");
        assert_eq!((second.change(501), second.amount()), (Err(Beyond::All), 500));
        let held = other.held[Good::Egress as usize].load(Relaxed);
        assert_eq!(held, 500, "what was refused is not held");
        assert_eq!(one.take(Good::Egress, 1).err(), Some(Beyond::Address), "its own limit comes first");
        assert!(other.take(Good::UnreadBytes, 100).is_ok(), "of nothing else there is a total");
        drop(first);
        assert_eq!((second.change(1000), addresses.egress()), (Ok(()), 1000));
        drop(second);
        assert_eq!(addresses.egress(), 0);
    }

    #[test]
    fn hosts_of_one_network_of_ipv6_share_an_account() {
        let addresses = Addresses::new(LIMITS, u64::MAX);
        let held = addresses.account(ip("2001:db8:0:1::1")).take(Good::Sessions, 1);
        assert!(addresses.account(ip("2001:db8:0:1:ffff::9")).take(Good::Sessions, 1).is_err());
        assert!(addresses.account(ip("2001:db8:0:2::1")).take(Good::Sessions, 1).is_ok());
        drop(held);
        assert!(addresses.account(ip("2001:db8:0:1:ffff::9")).take(Good::Sessions, 1).is_ok());
    }

    #[test]
    fn an_address_that_holds_nothing_is_forgotten() {
        let addresses = Addresses::new(LIMITS, u64::MAX);
        let shares: Vec<_> =
            (0..100).map(|n| addresses.account([10, 0, 0, n].into()).take(Good::Sessions, 1)).collect();
        assert_eq!(addresses.accounts().len(), 100);
        drop(shares);
        assert!(addresses.accounts().is_empty());
        assert!(addresses.account(ip("10.0.0.1")).take(Good::Sessions, 2).is_err());
        assert!(addresses.accounts().is_empty(), "nor one that was refused");
    }

    proptest! {
        /// Whatever is taken, changed and given back: what is held is what the shares say, and within the limit.
        #[test]
        fn the_books_balance(steps in prop::collection::vec((0..4usize, 0..60u64), 0..60)) {
            let account = Addresses::new(LIMITS, u64::MAX).account(ip("192.0.2.1"));
            let mut shares: Vec<Option<Share>> = (0..4).map(|_| None).collect();
            for (place, amount) in steps {
                match &mut shares[place] {
                    Some(share) if amount > 0 => drop(share.change(amount)),
                    taken @ Some(_) => *taken = None,
                    free => *free = account.take(Good::UnreadBytes, amount).ok(),
                }
                let held: u64 = shares.iter().flatten().map(|share| share.amount).sum();
                prop_assert_eq!(account.held[Good::UnreadBytes as usize].load(Relaxed), held);
                prop_assert!(held <= LIMITS.unread_bytes);
            }
        }
    }
}
