//! Who was refused lately, for an operator who is asked why somebody does not get in: by address and reason, as many as there is
//! room for. Knows nothing of the log.

use std::collections::HashMap;
use std::mem;
use std::net::IpAddr;
use std::time::Instant;

use super::super::access::counted_as;
use super::legible::{legible, legible_path};
use super::lines::Refused;
use super::restraint::Why;

/// So many are known by address and reason; where one more comes the older half is forgotten.
const KNOWN: usize = 512;

/// One who was refused for one reason.
#[derive(Debug, Clone)]
pub struct TurnedAway {
    /// Who; of a network that counts as one address, who was refused last.
    pub client: IpAddr,
    /// Why.
    pub why: Why,
    /// By which method it asked last.
    pub method: Option<String>,
    /// What for.
    pub asked: Option<String>,
    /// What the player calls itself.
    pub agent: Option<String>,
    /// How often it was.
    pub times: u64,
    /// When it was first.
    pub first: Instant,
    /// When it was last.
    pub last: Instant,
}

/// Those that are known.
#[derive(Default)]
pub struct Lately {
    known: HashMap<(IpAddr, Why), TurnedAway>,
}

impl TurnedAway {
    pub(super) fn new(refused: &Refused<'_>, now: Instant) -> Self {
        Self {
            client: refused.client.ip(),
            why: refused.why,
            method: refused.method.map(legible),
            asked: refused.asked.map(legible_path),
            agent: refused.agent.map(legible),
            times: 1,
            first: now,
            last: now,
        }
    }
}

impl Lately {
    pub fn note(&mut self, once: TurnedAway) {
        let key = (counted_as(once.client), once.why);
        if let Some(known) = self.known.get_mut(&key) {
            let (times, first) = (known.times + 1, known.first);
            *known = TurnedAway { times, first, ..once };
            return;
        }
        if self.known.len() >= KNOWN {
            self.forget_half();
        }
        self.known.insert(key, once);
    }

    /// All of them, the last first.
    pub fn all(&self) -> Vec<TurnedAway> {
        let mut all: Vec<_> = self.known.values().cloned().collect();
        all.sort_by_key(|known| std::cmp::Reverse(known.last));
        all
    }

    /// Half at once, so that a storm of new ones does not look for the oldest each time.
    fn forget_half(&mut self) {
        let mut all: Vec<_> = mem::take(&mut self.known).into_iter().collect();
        all.select_nth_unstable_by_key(KNOWN / 2, |(_, known)| std::cmp::Reverse(known.last));
        all.truncate(KNOWN / 2);
        self.known.extend(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::clock;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn refused(number: u32, reason: &'static str, now: Instant) -> TurnedAway {
        let client = (Ipv4Addr::from_bits(0x0a00_0000 + number), 5000).into();
        let why = Why { what: "refused", status: 404, reason };
        let asked = Some("//user:word@edge/news?token=word");
        TurnedAway::new(&Refused { client, why, method: Some("SETUP"), asked, agent: Some("a\u{1b}b") }, now)
    }

    #[test]
    fn one_is_known_by_address_and_reason_with_what_it_asked_last() {
        let (mut lately, now) = (Lately::default(), clock::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for second in 0..3 {
            lately.note(refused(1, "absent", at(second)));
        }
        lately.note(refused(2, "absent", at(5)));
        lately.note(refused(1, "late", at(4)));
        let all = lately.all();
        let told: Vec<_> =
            all.iter().map(|known| (known.why.reason, known.times, known.last - now)).collect();
        let seconds = Duration::from_secs;
        assert_eq!(told, [("absent", 1, seconds(5)), ("late", 1, seconds(4)), ("absent", 3, seconds(2))]);
        assert_eq!((all[2].first, all[2].asked.as_deref()), (now, Some("edge/news")), "and no password");
        assert_eq!(all[2].agent.as_deref(), Some("a?b"));
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stay() {
        let (mut lately, now) = (Lately::default(), clock::now());
        for number in 0..10_000 {
            lately.note(refused(number, "absent", now + Duration::from_millis(number.into())));
            assert!(lately.known.len() <= KNOWN);
        }
        let all = lately.all();
        assert!(all.len() >= KNOWN / 2);
        let newest =
            (0..KNOWN as u32 / 2).map(|back| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + 9_999 - back)));
        assert!(newest.eq(all.iter().take(KNOWN / 2).map(|known| known.client)));
    }
}
