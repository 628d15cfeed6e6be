//! What announcements come to, told without a socket.

use proptest::prelude::*;

use super::*;
use crate::event::clock;
use crate::wire::sap::NotSap;

const SENDER: [u8; 4] = [192, 0, 2, 21];
const OTHER: [u8; 4] = [192, 0, 2, 22];
const STRANGER: [u8; 4] = [198, 51, 100, 7];
/// Of whom the origins are that two others announce.
const ABSENT: [u8; 4] = [192, 0, 2, 99];
const PLACE: [u8; 4] = [239, 255, 255, 255];

/// Nothing but what is announced.
#[derive(Default)]
struct Alone {
    taken: Vec<&'static str>,
    ours: Option<[u8; 4]>,
}

impl Besides for Alone {
    fn is_taken(&self, name: &str) -> bool {
        self.taken.contains(&name)
    }

    fn may_be(&self, presentation: &Presentation) -> Result<(), Refused> {
        let is_ours = self.ours.is_some_and(|ours| {
            presentation.tracks.iter().any(|track| track.feeds[0].group == IpAddr::from(ours))
        });
        if is_ours { Err(Refusal::Barred.into()) } else { Ok(()) }
    }
}

/// A table, and the time.
struct Story {
    table: Table,
    besides: Alone,
    now: Instant,
}

/// A session as a device announces it.
#[derive(Clone)]
struct Device {
    id: u64,
    version: u64,
    name: String,
    clock: u32,
    group: [u8; 4],
    hash: u16,
    address: [u8; 4],
}

fn device() -> Device {
    let (name, group) = ("Stage".to_owned(), [239, 69, 11, 44]);
    Device { id: 1423986, version: 5, name, clock: 7, group, hash: 0x1234, address: SENDER }
}

impl Device {
    fn description(&self) -> String {
        let [a, b, c, d] = self.group;
        format!(
            "v=0\r\no=- {} {} IN IP4 {}\r\ns={}\r\nc=IN IP4 {a}.{b}.{c}.{d}/32\r\nt=0 0\r\nm=audio 5004 RTP/AVP 97\r\n\
             a=rtpmap:97 L24/48000/2\r\na=mediaclk:direct={}\r\n",
            self.id,
            self.version,
            IpAddr::from(self.address),
            self.name,
            self.clock
        )
    }

    fn datagram(&self, kind: Kind, description: &str) -> Vec<u8> {
        let description = description.as_bytes();
        Announcement { kind, hash: self.hash, origin: self.address.into(), description }.build()
    }

    fn announcement(&self) -> Vec<u8> {
        self.datagram(Kind::Announcement, &self.description())
    }

    fn deletion(&self) -> Vec<u8> {
        let origin = self.description().lines().nth(1).map(|line| format!("{line}\r\n")).unwrap_or_default();
        self.datagram(Kind::Deletion, &origin)
    }
}

fn deletion_by_hash(device: &Device) -> Vec<u8> {
    device.datagram(Kind::Deletion, "")
}

impl Story {
    fn new() -> Self {
        let rules = Rules {
            origins: vec!["192.0.2.0/24".parse().expect("a network"), "2001:db8::/32".parse().expect("one")],
            sessions: 6,
            sessions_per_sender: 4,
            timeout: Duration::from_secs(3600),
            prefix: "sap/".to_owned(),
        };
        let now = clock::now();
        Self { table: Table::new(rules, now), besides: Alone::default(), now }
    }

    fn later(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    /// What becomes of a datagram, in a word and a name.
    fn hear(&mut self, datagram: &[u8], sender: [u8; 4]) -> String {
        self.hear_in(PLACE, datagram, sender)
    }

    fn hear_in(&mut self, place: [u8; 4], datagram: &[u8], sender: [u8; 4]) -> String {
        match self.table.hear(datagram, (sender.into(), place.into()), &self.besides, self.now) {
            Ok(None) => "known".to_owned(),
            Ok(Some(change)) => told(&change),
            Err(Refused(refusal, _)) => refusal.reason().to_owned(),
        }
    }

    fn announced(&mut self, device: &Device) -> String {
        self.hear(&device.announcement(), device.address)
    }

    fn let_go(&mut self) -> Vec<String> {
        self.table.let_go(self.now).iter().map(told).collect()
    }
}

fn told(change: &Change) -> String {
    let group = |presentation: &Presentation| presentation.tracks[0].feeds[0].group;
    match change {
        Change::New { name, presentation } => format!("new {name} {}", group(presentation)),
        Change::Changed { name, presentation } => format!("changed {name} {}", group(presentation)),
        Change::Gone { name, is_deleted: true } => format!("deleted {name}"),
        Change::Gone { name, .. } => format!("silent {name}"),
    }
}

#[test]
fn a_session_comes_is_known_and_is_deleted() {
    let (mut story, stage) = (Story::new(), device());
    assert_eq!(story.announced(&stage), "new sap/Stage 239.69.11.44");
    assert_eq!(story.later(30).announced(&stage), "known");
    assert_eq!(story.hear(&stage.deletion(), SENDER), "deleted sap/Stage");
    assert_eq!(story.hear(&stage.deletion(), SENDER), "unknown", "its twin");
    assert_eq!(story.announced(&stage), "new sap/Stage 239.69.11.44");
}

#[test]
fn a_new_version_under_another_hash_moves_the_same_session() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    let moved = Device { version: 6, group: [239, 69, 11, 45], hash: 0x4321, ..stage.clone() };
    assert_eq!(story.later(30).announced(&moved), "changed sap/Stage 239.69.11.45");
    assert_eq!(
        story.hear(&stage.deletion(), SENDER),
        "unknown",
        "the old version is no more, the session is"
    );
    assert_eq!(story.table.sessions.len(), 1);
    let started_anew = Device { version: 0, clock: 99, hash: 0x9999, ..moved.clone() };
    assert_eq!(story.later(30).announced(&started_anew), "changed sap/Stage 239.69.11.45");
    assert_eq!(story.hear(&started_anew.deletion(), SENDER), "deleted sap/Stage");
}

#[test]
fn what_was_replaced_does_not_come_back_while_what_replaced_it_is_announced() {
    let (mut story, old) = (Story::new(), device());
    let new = Device { version: 6, group: [239, 69, 11, 45], hash: 0x4321, ..old.clone() };
    story.announced(&old);
    story.later(30).announced(&new);
    for _ in 0..20 {
        assert_eq!(story.later(15).announced(&old), "superseded");
        assert_eq!(story.later(15).announced(&new), "known");
    }
    assert_eq!(story.later(59).announced(&old), "superseded");
    assert_eq!(story.later(2).announced(&old), "changed sap/Stage 239.69.11.44", "nobody says otherwise now");
    assert_eq!(story.announced(&new), "superseded", "and it is that for the other one");
}

#[test]
fn the_same_by_several_ways_within_a_millisecond_is_one() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    story.now += Duration::from_millis(1);
    assert_eq!(story.announced(&stage), "known");
    assert_eq!(
        story.hear(&Device { hash: 7, ..stage.clone() }.announcement(), OTHER),
        "known",
        "by another port of it"
    );
    assert_eq!(story.table.sessions.len(), 1);
    assert_eq!(story.hear(&stage.deletion(), SENDER), "deleted sap/Stage", "it is the first one's");
}

#[test]
fn a_session_of_no_host_that_is_heard_is_its_senders_until_he_falls_silent() {
    let (mut story, stage) = (Story::new(), Device { address: ABSENT, ..device() });
    story.hear(&stage.announcement(), SENDER);
    story.later(30).hear(&stage.announcement(), SENDER);
    let other = Device { version: 6, group: [239, 1, 1, 1], ..stage.clone() };
    assert_eq!(story.hear(&other.announcement(), OTHER), "other_sender");
    assert_eq!(story.hear(&stage.deletion(), OTHER), "unknown");
    assert_eq!(story.later(60).hear(&other.announcement(), OTHER), "other_sender");
    assert_eq!(story.later(1).hear(&other.announcement(), OTHER), "changed sap/Stage 239.1.1.1");
    assert_eq!(story.hear(&stage.announcement(), SENDER), "other_sender", "it is his now");
    assert_eq!(story.hear(&stage.announcement(), ABSENT), "changed sap/Stage 239.69.11.44", "it was never");
}

#[test]
fn a_session_of_a_host_that_is_heard_is_nobody_elses() {
    let (mut story, stage) = (Story::new(), device());
    let taken = Device { group: [239, 1, 1, 1], ..stage.clone() };
    let version = |version| Device { version, ..taken.clone() }.announcement();
    assert_eq!(story.hear(&version(5), OTHER), "new sap/Stage 239.1.1.1");
    (6..20).for_each(|nth| drop(story.hear(&version(nth), OTHER)));
    assert_eq!(
        story.announced(&stage),
        "changed sap/Stage 239.69.11.44",
        "it is his, and he has not changed it"
    );
    assert_eq!(story.hear(&version(30), OTHER), "other_sender");
    for _ in 0..11 {
        assert_eq!(story.later(300).hear(&stage.announcement(), OTHER), "known");
        assert_eq!(story.hear(&version(30), OTHER), "other_sender", "he may be off for as long as it lasts");
    }
    assert_eq!(story.announced(&stage), "known");
    assert_eq!(story.later(300).announced(&stage), "known");
    assert_eq!(story.later(3599).hear(&version(31), OTHER), "other_sender");
    story.hear(&stage.announcement(), OTHER);
    assert_eq!(story.later(1).hear(&version(31), OTHER), "changed sap/Stage 239.1.1.1");
}

#[test]
fn one_whose_new_versions_are_refused_is_heard_all_the_same() {
    let (mut story, stage) = (Story::new(), Device { address: ABSENT, ..device() });
    story.hear(&stage.announcement(), SENDER);
    story.later(30).hear(&stage.announcement(), SENDER);
    story.besides.ours = Some([239, 1, 1, 1]);
    let moved = Device { version: 6, group: [239, 1, 1, 1], ..stage.clone() };
    for _ in 0..200 {
        assert_eq!(story.later(30).hear(&moved.announcement(), SENDER), "barred");
    }
    let other = Device { version: 7, ..stage.clone() };
    assert_eq!(story.hear(&other.announcement(), OTHER), "other_sender");
    assert!(story.let_go().is_empty());
}

#[test]
fn copies_to_other_groups_make_nobody_faster() {
    let (mut story, stage) = (Story::new(), Device { address: ABSENT, ..device() });
    for _ in 0..4 {
        story.later(298).hear(&stage.announcement(), SENDER);
        story.later(2).hear_in([224, 2, 127, 254], &stage.announcement(), SENDER);
    }
    let other = Device { version: 6, ..stage };
    assert_eq!(story.later(598).hear(&other.announcement(), OTHER), "other_sender");
    assert!(story.later(3).hear(&other.announcement(), OTHER).starts_with("changed"));
}

#[test]
fn a_takeover_needs_room_and_that_it_is_refused_is_told_once() {
    let (mut story, stage) = (Story::new(), Device { address: ABSENT, ..device() });
    story.hear(&stage.announcement(), SENDER);
    for id in 1..=4 {
        story.announced(&Device { id, address: OTHER, name: format!("s{id}"), ..device() });
    }
    let other = Device { version: 6, ..stage.clone() }.announcement();
    let now = story.now;
    let mut hear = |now| story.table.hear(&other, (OTHER.into(), PLACE.into()), &story.besides, now);
    let told = Some("sap/Stage is 192.0.2.21's".to_owned());
    assert_eq!(hear(now), Err(Refused(Refusal::OtherSender, told)));
    assert_eq!(hear(now), Err(Refused(Refusal::OtherSender, None)));
    story.table.rules.sessions_per_sender = 3;
    story.later(3599).hear(&stage.announcement(), ABSENT);
    assert_eq!(story.hear(&stage.announcement(), SENDER), "known");
    assert_eq!(
        story.table.sessions.values().filter(|session| session.sender == IpAddr::from(ABSENT)).count(),
        1
    );
}

#[test]
fn a_session_whose_channel_could_not_be_made_is_owed_until_it_is() {
    let (mut story, stage) = (Story::new(), device());
    let owed = |story: &Story| story.table.owed().iter().map(told).collect::<Vec<_>>();
    story.announced(&stage);
    assert_eq!((owed(&story), story.table.served()), (vec!["new sap/Stage 239.69.11.44".to_owned()], 0));
    assert_eq!(story.announced(&stage), "known", "and owed all the same");
    story.announced(&Device { version: 6, group: [239, 1, 1, 1], ..stage.clone() });
    assert_eq!(owed(&story), ["new sap/Stage 239.1.1.1"]);
    story.table.settle("sap/Stage");
    assert_eq!((owed(&story), story.table.served()), (vec![], 1));
    story.announced(&Device { version: 7, group: [239, 1, 1, 2], ..stage.clone() });
    assert_eq!((owed(&story), story.table.served()), (vec!["changed sap/Stage 239.1.1.2".to_owned()], 1));
    story.hear(&Device { version: 7, ..stage }.deletion(), SENDER);
    assert!(owed(&story).is_empty());
}

#[test]
fn the_same_of_two_hosts_that_name_none_is_two() {
    let (mut story, stage) = (Story::new(), device());
    let nobodys = stage.description().replace("1423986 5 IN IP4 192.0.2.21", "0 0 IN IP4 127.0.0.1");
    let by = |address| Device { address, ..device() }.datagram(Kind::Announcement, &nobodys);
    assert_eq!(story.hear(&by(SENDER), SENDER), "new sap/Stage 239.69.11.44");
    assert!(story.hear(&by(OTHER), OTHER).starts_with("new sap/Stage-"));
    assert_eq!([story.hear(&by(SENDER), SENDER), story.hear(&by(OTHER), OTHER)], ["known", "known"]);
    let line = "o=- 0 0 IN IP4 127.0.0.1\r\n";
    assert_eq!(story.hear(&stage.datagram(Kind::Deletion, line), SENDER), "deleted sap/Stage");
    assert_eq!(story.table.sessions.len(), 1);
}

#[test]
fn a_deletion_that_may_mean_several_deletes_none() {
    let (mut story, one) = (Story::new(), device());
    let other = Device { id: 7, name: "Hall".to_owned(), ..one.clone() };
    story.announced(&one);
    story.announced(&other);
    assert_eq!(story.hear(&deletion_by_hash(&one), SENDER), "unknown");
    assert_eq!(story.hear(&other.deletion(), SENDER), "deleted sap/Hall");
}

#[test]
fn one_who_begins_sessions_anew_all_the_time_is_held_back() {
    let (mut story, stage) = (Story::new(), device());
    let mut told = Vec::new();
    for _ in 0..8 {
        told.push(story.announced(&stage));
        story.hear(&stage.deletion(), SENDER);
    }
    assert_eq!(told.iter().filter(|told| told.starts_with("new")).count(), 4);
    assert_eq!(told[7], "changes");
    assert!(story.later(10).announced(&stage).starts_with("new"));
}

#[test]
fn a_session_comes_back_under_its_name_whoever_is_heard_first() {
    let (mut story, one) = (Story::new(), device());
    let other = Device { id: 7, address: OTHER, hash: 7, ..one.clone() };
    assert_eq!(story.announced(&one), "new sap/Stage 239.69.11.44");
    let second = story.announced(&other);
    story.hear(&one.deletion(), SENDER);
    story.hear(&other.deletion(), OTHER);
    assert_eq!(story.announced(&other), second);
    let started_anew = Device { id: 99, ..one };
    assert_eq!(story.announced(&started_anew), "new sap/Stage 239.69.11.44", "it is its host's");
}

#[test]
fn who_has_a_session_is_read_whatever_others_send() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    for nth in 0..1000_u32 {
        let address = [192, 0, 2, 100 + (nth % 100) as u8];
        story.announced(&Device { id: 9, version: nth.into(), address, name: nth.to_string(), ..device() });
    }
    assert_eq!(story.announced(&Device { id: 9, address: OTHER, ..device() }), "pace");
    let moved = Device { version: 6, group: [239, 1, 1, 1], ..stage };
    assert_eq!(story.announced(&moved), "changed sap/Stage 239.1.1.1");
}

#[test]
fn who_goes_on_announcing_what_another_began_may_change_it() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    for _ in 0..12 {
        assert_eq!(story.later(300).hear(&stage.announcement(), OTHER), "known");
    }
    let moved = Device { version: 6, group: [239, 1, 1, 1], ..stage };
    assert_eq!(story.hear(&moved.announcement(), OTHER), "changed sap/Stage 239.1.1.1");
}

#[test]
fn nobody_else_is_believed() {
    let (mut story, stage) = (Story::new(), device());
    assert_eq!(story.hear(&stage.announcement(), STRANGER), "origin");
    let lying = Device { address: STRANGER, ..stage.clone() };
    assert_eq!(story.hear(&lying.announcement(), SENDER), "origin", "he says that it is another one's");
    story.announced(&stage);
    assert_eq!(story.hear(&stage.deletion(), STRANGER), "origin");
    assert_eq!(story.hear(b"rubbish", STRANGER), "origin");
    assert_eq!(story.hear(b"\xffrubbish", SENDER), NotSap::Version.reason());
    assert_eq!(story.table.sessions.len(), 1);
}

#[test]
fn one_who_does_not_say_who_he_is_is_known_by_where_he_is() {
    let (mut story, stage) = (Story::new(), device());
    let old = [&[0; 8][..], stage.description().as_bytes()].concat();
    assert_eq!(story.hear(&old, SENDER), "new sap/Stage 239.69.11.44");
    let moved = Device { version: 6, group: [239, 1, 1, 1], ..stage };
    let old = [&[0; 8][..], moved.description().as_bytes()].concat();
    assert_eq!(story.hear(&old, SENDER), "changed sap/Stage 239.1.1.1");
    let deletion = [&[4, 0, 0, 0, 0, 0, 0, 0][..], b"o=- 1423986 1 IN IP4 192.0.2.21\r\n"].concat();
    assert_eq!(story.hear(&deletion, OTHER), "unknown");
    assert_eq!(story.hear(&deletion, SENDER), "deleted sap/Stage");
}

#[test]
fn a_session_that_is_not_heard_for_long_is_over() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    assert!(story.later(3599).let_go().is_empty());
    assert_eq!(story.later(1).let_go(), ["silent sap/Stage"]);
    story.announced(&stage);
    story.later(1200).announced(&stage);
    story.later(1200).announced(&stage);
    assert!(story.later(11_999).let_go().is_empty(), "ten times as long as between two of them");
    assert_eq!(story.later(1).let_go(), ["silent sap/Stage"]);
}

#[test]
fn one_announcement_that_was_lost_makes_nobody_slower() {
    let (mut story, stage) = (Story::new(), device());
    story.table.rules.timeout = Duration::from_secs(60);
    for seconds in [0, 10, 10, 20] {
        story.later(seconds).announced(&stage);
    }
    assert!(story.later(99).let_go().is_empty());
    assert_eq!(story.later(1).let_go(), ["silent sap/Stage"]);
}

#[test]
fn there_are_so_many_sessions_and_so_many_of_one() {
    let mut story = Story::new();
    let of = |id, address| Device { id, address, name: format!("s{id}"), ..device() };
    for id in 1..=4 {
        assert!(story.announced(&of(id, SENDER)).starts_with("new"));
    }
    assert_eq!(story.announced(&of(5, SENDER)), "sender");
    assert!(story.announced(&of(6, OTHER)).starts_with("new"));
    assert!(story.announced(&of(7, OTHER)).starts_with("new"));
    assert_eq!(story.announced(&of(8, OTHER)), "sessions");
    assert_eq!(story.hear(&of(1, SENDER).deletion(), SENDER), "deleted sap/s1");
    assert!(story.announced(&of(8, OTHER)).starts_with("new"));
}

#[test]
fn two_of_one_name_are_told_apart_and_keep_their_names() {
    let mut story = Story::new();
    story.besides.taken = vec!["sap/Stage"];
    let (one, other) = (device(), Device { id: 7, address: OTHER, ..device() });
    let first = story.announced(&one);
    let second = story.announced(&other);
    let name = |told: &str| told.split(' ').nth(1).map(str::to_owned).unwrap_or_default();
    assert!(name(&first).starts_with("sap/Stage-") && name(&second).starts_with("sap/Stage-"));
    assert_ne!(name(&first), name(&second));
    let renamed = Device { name: "Hall".to_owned(), version: 6, ..one };
    assert_eq!(name(&story.announced(&renamed)), name(&first), "who watches it goes on");
    let mut again = Story::new();
    again.besides.taken = vec!["sap/Stage"];
    assert_eq!(again.announced(&other), second, "whoever comes first");
}

#[test]
fn what_can_not_be_received_is_told_once() {
    let (mut story, stage) = (Story::new(), device());
    let useless = stage.description().replace("RTP/AVP", "RTP/SAVP");
    let datagram = stage.datagram(Kind::Announcement, &useless);
    let now = story.now;
    let mut hear = || story.table.hear(&datagram, (SENDER.into(), PLACE.into()), &story.besides, now);
    let Err(Refused(Refusal::Description, Some(why))) = hear() else { panic!("it is encrypted") };
    assert!(why.contains("line 6"), "{why}");
    assert_eq!(hear(), Err(Refused(Refusal::Description, None)));
}

#[test]
fn what_we_send_ourselves_does_not_come_back_in() {
    let (mut story, stage) = (Story::new(), device());
    story.besides.ours = Some(stage.group);
    assert_eq!(story.announced(&stage), "barred");
    story.announced(&Device { group: [239, 1, 1, 1], ..stage.clone() });
    assert_eq!(story.announced(&stage), "barred", "nor by a change");
}

#[test]
fn a_session_that_changes_all_the_time_is_left_as_it_is() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    let version = |version| Device { version, ..stage.clone() };
    let told: Vec<_> = (6..26).map(|nth| story.announced(&version(nth))).collect();
    assert_eq!(told.iter().filter(|told| told.starts_with("changed")).count(), 5);
    assert_eq!(told.iter().filter(|told| *told == "changes").count(), 15);
    assert!(story.later(10).announced(&version(30)).starts_with("changed"));
}

#[test]
fn one_who_announces_new_things_all_the_time_costs_the_others_nothing() {
    let mut story = Story::new();
    let flood = |id| Device { id, name: format!("s{id}"), ..device() };
    let told: Vec<_> = (0..1000).map(|id| story.announced(&flood(id))).collect();
    assert_eq!(told.iter().filter(|told| *told == "pace").count(), 949, "its first was a stranger's");
    assert!(story.announced(&Device { address: OTHER, ..device() }).starts_with("new"));
    assert_eq!(story.announced(&flood(0)), "known", "what is there is heard whatever comes");
}

#[test]
fn deletions_without_end_are_read_no_more_often_than_announcements() {
    let (mut story, stage) = (Story::new(), device());
    story.announced(&stage);
    let of_nothing = [4, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(story.hear(&of_nothing, SENDER), "unknown", "it could mean anything");
    let of_another = [&of_nothing[..], b"o=- 9 9 IN IP4 192.0.2.21\r\n"].concat();
    let told: Vec<_> = (0..1000).map(|_| story.hear(&of_another, SENDER)).collect();
    assert_eq!(told.iter().filter(|told| *told == "unknown").count(), 50);
    assert_eq!(told.iter().filter(|told| *told == "pace").count(), 950);
    let by_hash = deletion_by_hash(&stage);
    assert_eq!(story.hear(&by_hash, OTHER), "unknown");
    assert_eq!(story.hear(&by_hash, SENDER), "deleted sap/Stage");
}

#[test]
fn what_is_known_of_senders_has_an_end() {
    let mut story = Story::new();
    for last in 0..=u16::MAX {
        let address = [192, 0, 2, last.to_be_bytes()[1]];
        let device = Device { id: last.into(), address, name: format!("s{last}"), ..device() };
        story.announced(&device);
    }
    assert_eq!(story.table.sessions.len(), 6);
    assert!(story.table.useless.len() <= USELESS);
}

proptest! {
    #[test]
    fn whatever_is_heard_there_are_no_more_sessions_than_may_be_and_all_names_differ(
        steps in prop::collection::vec((0..5_u64, 0..4_u64, 0..3_usize, any::<bool>(), 0..400_u64), 0..80),
    ) {
        let mut story = Story::new();
        let mut there = std::collections::BTreeSet::new();
        for (id, version, by, is_deletion, seconds) in steps {
            let address = [SENDER, OTHER, STRANGER][by];
            let device = Device { id, version, address: SENDER, ..device() };
            let datagram = if is_deletion { device.deletion() } else { device.announcement() };
            let mut changes = vec![story.later(seconds).hear(&datagram, address)];
            changes.extend(story.let_go());
            for change in changes {
                match change.split(' ').collect::<Vec<_>>()[..] {
                    ["new", name, _] => prop_assert!(there.insert(name.to_owned())),
                    ["changed", name, _] => prop_assert!(there.contains(name) && by != 2),
                    ["deleted" | "silent", name] => prop_assert!(there.remove(name)),
                    _ => {}
                }
            }
            prop_assert_eq!(there.len(), story.table.sessions.len());
            prop_assert!(there.len() <= 6);
        }
    }

    #[test]
    fn what_is_damaged_on_its_way_changes_no_other_session(place in 0..300_usize, bits: u8, cut in 0..300_usize) {
        let (mut story, stage) = (Story::new(), device());
        story.announced(&stage);
        let mut datagram = Device { version: 6, ..stage.clone() }.announcement();
        if let Some(byte) = datagram.get_mut(place) {
            *byte ^= bits;
        }
        datagram.truncate(cut.max(1));
        let _ = story.hear(&datagram, SENDER);
        prop_assert!((0..=2).contains(&story.table.sessions.len()));
    }
}
