//! Nonces: which were given out here, to which address, until when they are good, and how often each was used.
//!
//! A nonce tells that by itself, under a key that nobody else has: nothing is kept of those that nobody answers, however many ask.
//! Of those that were answered, by who knows a password, the counts are kept, which makes each answer good once, on whatever
//! connection it comes. Clients that count nothing (RFC 2069) repeat their answers where they gave the first one, and nowhere else.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::event::lock;

/// Nonces whose uses are known. Beyond these the oldest are forgotten, and are no good from then on.
const KNOWN: usize = 1 << 16;
/// As many are forgotten at once, so that a crowd does not have the table searched for each.
const FORGOTTEN_AT_ONCE: usize = KNOWN / 16;
/// Counts behind the highest that may still come: of requests that were sent together.
const WINDOW: u32 = u64::BITS;
/// Answers without a count that are known of one nonce. Beyond these it is good where it was answered first alone.
const UNCOUNTED: usize = 32;

const PART_BYTES: usize = 6;
const SEAL_BYTES: usize = 12;

/// All nonces of the server.
pub(super) struct Nonces {
    life: Duration,
    key: OnceLock<[u8; 32]>,
    /// What they are dated from.
    epoch: OnceLock<Instant>,
    given: AtomicU64,
    table: Mutex<Table>,
    /// Nonces that were forgotten before their time.
    pub forgotten: AtomicU64,
}

#[derive(Default)]
struct Table {
    /// By number, which is the order in which they were given.
    used: BTreeMap<u64, Used>,
    /// Those up to this number that are not there are no good.
    forgotten_below: u64,
    sweep_at: Option<Instant>,
}

struct Used {
    good_until: Instant,
    counts: Counts,
    /// Beginnings of the answers that came without a count.
    uncounted: Vec<u64>,
}

/// Which counts were used, of the latest.
#[derive(Debug, Default)]
struct Counts {
    highest: u32,
    /// A bit for each of the highest and those before.
    used: u64,
}

/// A nonce in an answer that is right.
pub(super) struct Use<'a> {
    pub nonce: &'a str,
    /// How often the client says that it has used it.
    pub count: Option<u32>,
    /// What it has answered.
    pub response: &'a [u8],
    /// It was given, or used before, on the connection that this comes by.
    pub is_own: bool,
}

/// Whether a nonce is good, in the words of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    Expired,
    /// It was not given to this address, or before a restart.
    Foreign,
    /// It was used with this count, or for this answer, before.
    Replayed,
}

/// What a nonce of ours says.
struct Dated {
    number: u64,
    given_at: Instant,
}

impl Nonces {
    /// Nonces that are good for so long without being used.
    pub fn new(life: Duration) -> Self {
        let (key, epoch, table) = (OnceLock::new(), OnceLock::new(), Mutex::default());
        Self { life, key, epoch, given: AtomicU64::new(0), table, forgotten: AtomicU64::new(0) }
    }

    /// A new one for a client.
    pub fn give(&self, client: IpAddr, now: Instant) -> Result<String, getrandom::Error> {
        let key = self.key()?;
        let age = now.saturating_duration_since(*self.epoch.get_or_init(|| now));
        let number = self.given.fetch_add(1, Relaxed) + 1;
        let mut bytes = Vec::with_capacity(2 * PART_BYTES + SEAL_BYTES);
        for part in [age.as_millis() as u64, number] {
            bytes.extend_from_slice(&part.to_be_bytes()[8 - PART_BYTES..]);
        }
        let seal = seal(key, &bytes, client).finalize().into_bytes();
        bytes.extend_from_slice(&seal[..SEAL_BYTES]);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether another request may be challenged with it: who answers has time, and begins to count.
    pub fn is_fresh(&self, nonce: &str, client: IpAddr, now: Instant) -> bool {
        let Some(Dated { number, given_at }) = self.read(nonce, client) else { return false };
        let table = lock(&self.table);
        let good_until = match table.used.get(&number) {
            Some(used) if used.counts.highest > 0 => return false,
            Some(used) => used.good_until,
            None if number <= table.forgotten_below => return false,
            None => given_at + self.life,
        };
        good_until.saturating_duration_since(now) > self.life / 2
    }

    /// Uses a nonce in an answer that is right. While it is used it lives on: there are clients that do not ask again.
    pub fn answer(&self, answer: &Use<'_>, client: IpAddr, now: Instant) -> Standing {
        let Some(Dated { number, given_at }) = self.read(answer.nonce, client) else {
            return Standing::Foreign;
        };
        let mut table = lock(&self.table);
        if !table.used.contains_key(&number) {
            if number <= table.forgotten_below || given_at + self.life <= now {
                return Standing::Expired;
            }
            self.make_room(&mut table, now);
        }
        let good_until = now + self.life;
        let used = table.used.entry(number).or_insert_with(|| Used::until(good_until));
        if used.good_until <= now {
            return Standing::Expired;
        }
        if !used.take(answer) {
            return Standing::Replayed;
        }
        used.good_until = good_until;
        Standing::Good
    }

    /// Forgets what has expired, now and then, and the oldest where there are too many.
    fn make_room(&self, table: &mut Table, now: Instant) {
        let is_full = table.used.len() >= KNOWN;
        if !is_full && table.sweep_at.is_some_and(|at| now < at) {
            return;
        }
        table.sweep_at = Some(now + self.life);
        table.used.retain(|_, used| used.good_until > now);
        if table.used.len() >= KNOWN {
            for _ in 0..FORGOTTEN_AT_ONCE {
                let Some((number, _)) = table.used.pop_first() else { break };
                table.forgotten_below = number;
            }
            self.forgotten.fetch_add(FORGOTTEN_AT_ONCE as u64, Relaxed);
        }
    }

    /// What a nonce says that was given to this client here.
    fn read(&self, nonce: &str, client: IpAddr) -> Option<Dated> {
        let (key, epoch) = (self.key.get()?, self.epoch.get()?);
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (said, sealed) = bytes.split_at_checked(2 * PART_BYTES)?;
        if sealed.len() != SEAL_BYTES {
            return None;
        }
        seal(key, said, client).verify_truncated_left(sealed).ok()?;
        let part = |bytes: &[u8]| bytes.iter().fold(0, |part, byte| part << 8 | u64::from(*byte));
        let (age, number) = said.split_at(PART_BYTES);
        Some(Dated { number: part(number), given_at: *epoch + Duration::from_millis(part(age)) })
    }

    fn key(&self) -> Result<&[u8; 32], getrandom::Error> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        Ok(self.key.get_or_init(|| random))
    }
}

/// What nobody else can say of a nonce for a client.
fn seal(key: &[u8; 32], said: &[u8], client: IpAddr) -> Hmac<Sha256> {
    let mut seal = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    seal.update(said);
    match client.to_canonical() {
        IpAddr::V4(v4) => seal.update(&v4.octets()),
        IpAddr::V6(v6) => seal.update(&v6.octets()),
    }
    seal
}

impl Used {
    fn until(good_until: Instant) -> Self {
        Self { good_until, counts: Counts::default(), uncounted: Vec::new() }
    }

    /// Uses it for an answer, once.
    fn take(&mut self, answer: &Use<'_>) -> bool {
        if let Some(count) = answer.count {
            return self.counts.take(count);
        }
        let beginning = answer.response.iter().take(8).fold(0, |begun, byte| begun << 8 | u64::from(*byte));
        if self.uncounted.contains(&beginning) || self.uncounted.len() >= UNCOUNTED {
            return answer.is_own;
        }
        self.uncounted.push(beginning);
        true
    }
}

impl Counts {
    /// Uses a count, once.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.used = self.used.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let is_new = count > 0 && behind < WINDOW && self.used & 1 << behind == 0;
        if is_new {
            self.used |= 1 << behind;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LIFE: Duration = Duration::from_secs(300);
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    struct Server(Nonces);

    impl Server {
        fn new() -> Self {
            Self(Nonces::new(LIFE))
        }

        fn give(&self, now: Instant) -> String {
            self.0.give(CLIENT, now).expect("random bits")
        }

        fn counted(&self, nonce: &str, count: u32, now: Instant) -> Standing {
            let answer = Use { nonce, count: Some(count), response: b"", is_own: false };
            self.0.answer(&answer, CLIENT, now)
        }

        fn uncounted(&self, nonce: &str, response: &[u8], is_own: bool, now: Instant) -> Standing {
            self.0.answer(&Use { nonce, count: None, response, is_own }, CLIENT, now)
        }

        fn known(&self) -> usize {
            lock(&self.0.table).used.len()
        }
    }

    #[test]
    fn a_nonce_is_good_for_its_address_and_until_it_is_not_used_any_more() {
        let (server, start) = (Server::new(), clock::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(server.counted("", 1, start), Standing::Foreign, "none was given");
        let nonce = server.give(start);
        assert_eq!(nonce.len(), 32);
        let elsewhere = [192, 0, 2, 2].into();
        let answer = Use { nonce: &nonce, count: Some(1), response: b"", is_own: true };
        assert_eq!(server.0.answer(&answer, elsewhere, start), Standing::Foreign);
        assert_eq!(Server::new().counted(&nonce, 1, start), Standing::Foreign, "after a restart");
        let mapped = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(server.0.answer(&answer, mapped, at(299)), Standing::Good);
        assert_eq!(server.counted(&nonce, 2, at(598)), Standing::Good, "it has lived on");
        assert_eq!(server.counted(&nonce, 3, at(898)), Standing::Expired);
        assert_eq!(server.counted(&server.give(at(898)), 1, at(1198)), Standing::Expired, "never used");
    }

    #[test]
    fn a_nonce_that_was_tampered_with_is_none() {
        let (server, now) = (Server::new(), clock::now());
        let nonce = server.give(now);
        for place in 0..nonce.len() {
            let mut other = nonce.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("text");
            assert_eq!(server.counted(&other, 1, now), Standing::Foreign, "{other}");
        }
        for other in [&nonce[1..], &nonce[..28], &format!("{nonce}AAAA"), "é"] {
            assert_eq!(server.counted(other, 1, now), Standing::Foreign, "{other}");
        }
        assert_eq!(server.known(), 0, "and nothing is kept of it");
    }

    #[test]
    fn an_answer_is_good_once_and_without_a_count_again_where_it_was_given() {
        let (server, now) = (Server::new(), clock::now());
        let nonce = server.give(now);
        assert_eq!(server.counted(&nonce, 1, now), Standing::Good);
        assert_eq!(server.counted(&nonce, 1, now), Standing::Replayed);
        assert_eq!(server.uncounted(&nonce, b"SETUP's", true, now), Standing::Good);
        assert_eq!(server.uncounted(&nonce, b"SETUP's", true, now), Standing::Good);
        assert_eq!(server.uncounted(&nonce, b"SETUP's", false, now), Standing::Replayed, "overheard");
        assert_eq!(server.uncounted(&nonce, b"PLAY's", false, now), Standing::Good, "on the next connection");
        for other in 0..UNCOUNTED as u8 {
            server.uncounted(&nonce, &[other], true, now);
        }
        assert_eq!(server.uncounted(&nonce, b"more", false, now), Standing::Replayed, "that is not known");
        assert_eq!(server.uncounted(&nonce, b"more", true, now), Standing::Good);
    }

    #[test]
    fn requests_that_were_sent_together_are_challenged_with_one_nonce() {
        let (server, start) = (Server::new(), clock::now());
        let nonce = server.give(start);
        let is_fresh = |now| server.0.is_fresh(&nonce, CLIENT, now);
        assert!(is_fresh(start + LIFE / 3));
        assert!(!is_fresh(start + LIFE * 2 / 3), "who answers has time");
        assert_eq!(server.uncounted(&nonce, b"", true, start), Standing::Good);
        assert!(is_fresh(start), "who does not count goes on with it");
        assert_eq!(server.counted(&nonce, 1, start), Standing::Good);
        assert!(!is_fresh(start), "who is challenged begins to count anew");
    }

    #[test]
    fn what_is_known_is_bounded_and_what_was_forgotten_is_no_good() {
        let (server, start) = (Server::new(), clock::now());
        let first = server.give(start);
        assert_eq!(server.counted(&first, 1, start), Standing::Good);
        for _ in 0..KNOWN - 1 {
            assert_eq!(server.counted(&server.give(start), 1, start), Standing::Good);
        }
        let (asked, newest) = (server.give(start), server.give(start));
        assert_eq!(server.0.forgotten.load(Relaxed), 0);
        assert_eq!(server.counted(&newest, 1, start), Standing::Good, "who comes is not kept out");
        assert_eq!(server.known(), KNOWN - FORGOTTEN_AT_ONCE + 1);
        assert_eq!(server.0.forgotten.load(Relaxed), FORGOTTEN_AT_ONCE as u64);
        assert_eq!(server.counted(&first, 1, start), Standing::Expired, "nor is it good again");
        assert_eq!(server.counted(&asked, 1, start), Standing::Good, "what was not used is good yet");
        let later = start + LIFE;
        assert_eq!(server.counted(&server.give(later), 1, later), Standing::Good);
        assert_eq!(server.known(), 1, "what has expired makes room");
    }

    proptest! {
        /// Whatever the order: none is taken twice, and none of the latest is refused the first time.
        #[test]
        fn each_count_is_taken_once(counts in prop::collection::vec(0..200u32, 0..200)) {
            let (mut used, mut taken, mut highest) = (Counts::default(), BTreeSet::new(), 0);
            for count in counts {
                let is_new = used.take(count);
                let is_late = count == 0 || highest >= count + WINDOW;
                prop_assert_eq!(is_new, !taken.contains(&count) && !is_late);
                if is_new {
                    taken.insert(count);
                }
                highest = highest.max(count);
            }
        }
    }
}
