//! Channels that come by several legs: what one loses the other brings, or one is followed after the other.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mirrorball::event::clock;
use nix::sys::signal::Signal;

use crate::vocabulary::{
    Bare, Group, Mirrorball, Needs, Over, Plug, Setup, Source, Stamp, Viewer, eventually,
    in_a_network_of_its_own, sender_report,
};

const NEWS: [(&str, &str); 1] = [("channel", "news")];
const PATIENCE: Duration = Duration::from_secs(20);
const BEAT: Duration = Duration::from_millis(2);
/// Packets of each leg in a beat.
const AT_ONCE: u64 = 4;

/// Two legs that carry the same packets, and a channel of them.
fn two_legs(lines: &str) -> ([Source; 2], Mirrorball) {
    let one = Source::new();
    let mut other = Source::new();
    (other.programme, other.ssrc) = (one.programme, one.ssrc);
    let mirrorball = channel_of(&[one.group, other.group], lines);
    ([one, other], mirrorball)
}

fn channel_of(groups: &[Group], lines: &str) -> Mirrorball {
    let sources: Vec<_> = groups.iter().map(|group| format!("\"rtp://{group}\"")).collect();
    let mut setup = Setup::new().channel_of_sources("news", &sources.join(", "));
    setup = setup.channel_line(lines);
    setup.start()
}

/// A number that looks like chance, and is the same each time.
fn chance(leg: usize, number: u64) -> u64 {
    let mut bits = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (leg as u64 + 1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    bits ^= bits >> 31;
    bits = bits.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (bits ^ bits >> 29) % 100
}

/// Sends numbers by both legs at a steady rate, but for those that are lost; the second leg is so many packets behind.
fn send(
    mut legs: [Source; 2],
    numbers: Range<u64>,
    behind: u64,
    is_lost: impl Fn(usize, u64) -> bool + Send + 'static,
) -> JoinHandle<[Source; 2]> {
    thread::spawn(move || {
        let mut at = numbers.start;
        while at < numbers.end + behind {
            for now in at..at + AT_ONCE {
                for (leg, number) in [(0, Some(now)), (1, now.checked_sub(behind))] {
                    let Some(number) = number.filter(|number| numbers.contains(number)) else { continue };
                    legs[leg].next = number;
                    if !is_lost(leg, number) {
                        legs[leg].send(1);
                    }
                }
            }
            at += AT_ONCE;
            thread::sleep(BEAT);
        }
        legs
    })
}

/// Reads up to a number; returns those that did not come. They come in order.
#[track_caller]
fn missing(viewer: &mut Viewer, numbers: Range<u64>) -> BTreeSet<u64> {
    let mut missing = BTreeSet::new();
    let mut next = numbers.start;
    while next < numbers.end {
        let stamp = viewer.stamp();
        assert!(stamp.number >= next, "{} came after {next} was due", stamp.number);
        missing.extend(next..stamp.number);
        next = stamp.number + 1;
    }
    missing
}

fn of_leg(leg: &str) -> [(&str, &str); 3] {
    [("channel", "news"), ("track", "1"), ("leg", leg)]
}

#[test]
fn what_both_legs_have_lost_is_lost_and_nothing_else() {
    let (legs, mirrorball) = two_legs("redundancy = \"merge\"\nskew = \"200ms\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    const COUNT: u64 = 8000;
    // The first and the last come by both, so that the story has a beginning and an end.
    let is_lost = |leg: usize, number: u64| number > 0 && number < COUNT - 1 && chance(leg, number) < 5;
    let both: BTreeSet<u64> =
        (0..COUNT).filter(|number| is_lost(0, *number) && is_lost(1, *number)).collect();
    let sending = send(legs, 0..COUNT, 0, is_lost);
    assert_eq!(missing(&mut viewer, 0..COUNT), both);
    assert!((8..=36).contains(&both.len()), "0.25 % of {COUNT} and noise: {}", both.len());
    sending.join().expect("sent");
    for (leg, place) in [("1", 0), ("2", 1)] {
        let lost = (0..COUNT).filter(|number| is_lost(place, *number)).count() as f64;
        mirrorball.expect_metric("mirrorball_leg_packets_total", &of_leg(leg), COUNT as f64 - lost);
        let counted = mirrorball.metric("mirrorball_leg_lost_total", &of_leg(leg));
        assert!((lost - 20.0..=lost).contains(&counted), "leg {leg}: {counted} of {lost}");
    }
    assert_eq!(mirrorball.metric("mirrorball_channel_duplicates_total", &NEWS), 0.0);
}

#[test]
fn losses_that_never_coincide_cost_nothing_and_neither_does_a_leg_that_is_cut() {
    let (legs, mirrorball) = two_legs("redundancy = \"merge\"\nskew = \"200ms\"\nsilent_after = \"300ms\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let apart = |leg: usize, number: u64| number > 0 && chance(0, number) / 10 == 3 + leg as u64;
    let sending = send(legs, 0..4000, 0, apart);
    assert_eq!(missing(&mut viewer, 0..4000), BTreeSet::new());
    let legs = sending.join().expect("sent");
    // The second one is cut.
    let sending = send(legs, 4000..8000, 0, |leg, _| leg == 1);
    assert_eq!(missing(&mut viewer, 4000..8000), BTreeSet::new());
    let mut legs = sending.join().expect("sent");
    eventually("it is told", || mirrorball.has_logged("leg 2 is silent").then_some(()));
    // It returns, and the first one is cut. Legs are looked at now and then: it sends until it is told.
    let mut next = 8000;
    while !mirrorball.has_logged("leg 2 sends") {
        assert!(next < 28_000, "it is told");
        let numbers = next..next + 1000;
        let sending = send(legs, numbers.clone(), 0, |leg, number| leg == 0 && number >= 8100);
        assert_eq!(missing(&mut viewer, numbers), BTreeSet::new());
        legs = sending.join().expect("sent");
        next += 1000;
    }
}

#[test]
fn a_program_that_is_held_up_takes_no_leg_for_late() {
    // More than what sends is held up itself on a busy machine, and less than the program is.
    let (legs, mirrorball) = two_legs("redundancy = \"merge\"\nskew = \"150ms\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let is_lost = |leg: usize, number: u64| number > 0 && chance(0, number) / 10 == leg as u64;
    let sending = send(legs, 0..3000, 10, is_lost);
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(150));
        mirrorball.signal(Signal::SIGSTOP);
        thread::sleep(Duration::from_millis(400));
        mirrorball.signal(Signal::SIGCONT);
    }
    assert_eq!(missing(&mut viewer, 0..3000), BTreeSet::new());
    sending.join().expect("sent");
}

#[test]
fn a_leg_may_be_behind_by_less_than_the_skew() {
    let (legs, mirrorball) = two_legs("redundancy = \"merge\"\nskew = \"200ms\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let sending = send(legs, 0..3000, 80, |leg, number| leg == 0 && number > 0 && chance(leg, number) < 5);
    assert_eq!(missing(&mut viewer, 0..3000), BTreeSet::new());
    sending.join().expect("sent");
    let skew = mirrorball.metric("mirrorball_leg_skew_seconds", &of_leg("2"));
    assert!((0.035..0.2).contains(&skew), "{skew}");
    assert!(mirrorball.metric("mirrorball_leg_skew_seconds", &of_leg("1")) < 0.03);
}

#[test]
fn what_follows_a_gap_leaves_when_nothing_more_comes() {
    let (mut legs, mirrorball) = two_legs("redundancy = \"merge\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    for number in [0, 1, 3] {
        legs[0].next = number;
        legs[0].send(1);
    }
    assert_eq!([0, 1, 3].map(|_| viewer.stamp().number), [0, 1, 3]);
    // Too late for everybody.
    legs[1].next = 2;
    legs[1].send(1);
    viewer.expect_silence();
    let late = [("channel", "news"), ("leg", "2"), ("reason", "late")];
    mirrorball.expect_metric("mirrorball_leg_unused_total", &late, 1.0);
}

#[test]
fn a_leg_whose_packets_are_of_another_type_helps_nobody() {
    let (mut legs, mirrorball) = two_legs("redundancy = \"merge\"\nsilent_after = \"300ms\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let mut other = legs[1].packet(0);
    other[1] = 96;
    eventually("it is told", || {
        legs[0].send(1);
        legs[1].send_bytes(&other);
        viewer.stamp();
        mirrorball.has_logged("leg 2 is silent").then_some(())
    });
    let both = format!("{}, {}", legs[0].group.0.ip(), legs[1].group.0.ip());
    assert!(mirrorball.has_logged(&both), "whatever it is");
    for (leg, active) in [("1", 1.0), ("2", 0.0)] {
        mirrorball.expect_metric("mirrorball_leg_active", &of_leg(leg), active);
    }
}

#[test]
fn reports_of_one_leg_are_passed_on() {
    let (mut legs, mirrorball) = two_legs("redundancy = \"merge\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    legs.iter_mut().for_each(|leg| leg.send(1));
    viewer.stamp();
    mirrorball.expect_metric("mirrorball_leg_packets_total", &NEWS, 2.0);
    let report = sender_report(legs[0].ssrc, 7);
    legs.iter().for_each(|leg| leg.send_rtcp(&report));
    assert_eq!(viewer.rtcp(), report);
    assert_eq!(viewer.rtcp_within(Duration::from_millis(150)), None, "the other one's is the same");
}

#[test]
fn legs_that_a_description_names_are_one_track() {
    let legs = [Source::new(), Source::new()];
    let [one, other] = legs.each_ref().map(|leg| leg.group.0);
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=two networks\r\nt=0 0\r\na=group:DUP primary secondary\r\n\
         m=video {} RTP/AVP 33\r\nc=IN IP4 {}/32\r\na=mid:primary\r\n\
         m=video {} RTP/AVP 33\r\nc=IN IP4 {}/32\r\na=mid:secondary;\r\n",
        one.port(),
        one.ip(),
        other.port(),
        other.ip()
    );
    let mirrorball = Setup::new().described("news", &sdp).start();
    let mut viewer = Viewer::of(&mirrorball, "news");
    let url = viewer.url.clone();
    let described = viewer.connection.request("DESCRIBE", &url, &[("Accept", "application/sdp")]).body;
    assert_eq!(described.matches("m=video").count(), 1, "{described}");
    assert!(!described.contains("DUP") && !described.contains("a=mid"), "{described}");
    viewer.set_up(1, Over::Tcp);
    viewer.play();
    let [one, mut other] = legs;
    (other.programme, other.ssrc) = (one.programme, one.ssrc);
    let is_lost = |leg: usize, number: u64| number > 0 && chance(0, number) / 10 == leg as u64;
    let sending = send([one, other], 0..1000, 3, is_lost);
    assert_eq!(missing(&mut viewer, 0..1000), BTreeSet::new());
    sending.join().expect("sent");
}

#[test]
fn legs_of_two_streams_are_told_of_and_one_is_received() {
    let mut legs = [Source::new(), Source::new()];
    let groups = legs.each_ref().map(|leg| leg.group);
    let mirrorball = channel_of(&groups, "redundancy = \"merge\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let programme = legs[0].programme;
    legs[0].send(1);
    assert_eq!(viewer.stamp().programme, programme, "the one that is heard first");
    let sending = send(legs, 1..10_000, 0, |_, _| false);
    for number in 1..10_000 {
        let stamp = viewer.stamp();
        assert_eq!((stamp.programme, stamp.number), (programme, number));
    }
    sending.join().expect("sent");
    let told = || mirrorball.has_logged("the legs are not the same stream: leg 2").then_some(());
    eventually("it is told", told);
    let labels = [("channel", "news"), ("leg", "2"), ("reason", "other_stream")];
    assert!(mirrorball.metric("mirrorball_leg_unused_total", &labels) > 9000.0);
}

#[test]
fn a_source_that_begins_anew_on_both_legs_is_followed() {
    let (legs, mirrorball) = two_legs("redundancy = \"merge\"");
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let mut legs = send(legs, 0..1000, 3, |_, _| false).join().expect("sent");
    assert_eq!(missing(&mut viewer, 0..1000), BTreeSet::new());
    legs.iter_mut().for_each(Source::begin_anew);
    let ssrc = legs[0].ssrc;
    let sending = send(legs, 1000..2000, 3, |_, _| false);
    for number in 1000..2000 {
        let stamp = viewer.stamp();
        assert_eq!((stamp.ssrc, stamp.number), (ssrc, number));
    }
    sending.join().expect("sent");
}

/// What a viewer of a channel with a backup gets, packet by packet.
struct Watch {
    viewer: Viewer,
    last: Option<Stamp>,
}

impl Watch {
    /// The next packet: whatever source it is of, it goes on where the one before ended. Returns its stamp, and how much later it
    /// is by its timestamp.
    #[track_caller]
    fn next(&mut self) -> (Stamp, Duration) {
        let stamp = self.viewer.stamp();
        let Some(last) = self.last.replace(stamp) else { return (stamp, Duration::ZERO) };
        assert_eq!(stamp.ssrc, last.ssrc, "one stream");
        assert_eq!(stamp.sequence, last.sequence.wrapping_add(1), "without a gap");
        let passed = stamp.timestamp.wrapping_sub(last.timestamp);
        assert!((1..90_000).contains(&passed), "timestamps go on: {passed}");
        (stamp, Duration::from_micros(u64::from(passed) * 100 / 9))
    }

    /// Reads until a packet of another source; returns it, and how much later it is than the last of the one before.
    #[track_caller]
    fn until_another(&mut self) -> (Stamp, Duration) {
        let (programme, until) = (self.last.expect("some came").programme, clock::now() + PATIENCE);
        while clock::now() < until {
            let (stamp, gap) = self.next();
            if stamp.programme != programme {
                return (stamp, gap);
            }
        }
        panic!("no switch")
    }
}

#[test]
fn a_backup_takes_over_and_viewers_see_one_stream() {
    let legs = [Source::new(), Source::new()];
    let groups = legs.each_ref().map(|leg| leg.group);
    let lines = "redundancy = \"failover\"\nfailover_after = \"100ms\"\nreturn_after = \"1s\"";
    let mirrorball = channel_of(&groups, lines);
    let mut watch = Watch { viewer: Viewer::playing(&mirrorball, "news", Over::Tcp), last: None };
    let [first, mut second] = legs;
    second.next = 5000;
    let reporter = Source::to(second.group);
    let (first_ssrc, second_ssrc) = (first.ssrc, second.ssrc);
    let (first, second) = (first.beam(1000), second.beam(1000));
    for number in 0..300 {
        let stamp = watch.next().0;
        assert_eq!((stamp.ssrc, stamp.number), (first_ssrc, number), "as they came");
    }
    // The first is cut.
    let mut first = first.stop();
    let (stamp, gap) = watch.until_another();
    assert!((Duration::from_millis(90)..Duration::from_millis(200)).contains(&gap), "{gap:?}");
    assert!(stamp.number >= 5000 && stamp.ssrc == first_ssrc);
    let as_sent = Stamp::read(&reporter.packet(stamp.number)).expect("a packet").timestamp;
    let shift = stamp.timestamp.wrapping_sub(as_sent);
    reporter.send_rtcp(&sender_report(second_ssrc, 1_000_000));
    let report = watch.viewer.rtcp();
    let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(4), word(16)), (first_ssrc, 1_000_000_u32.wrapping_add(shift)));
    assert!((300..5000).contains(&word(20)), "as many packets as were sent: {}", word(20));
    eventually("it is told", || mirrorball.has_logged("switched to leg 2: leg 1 is silent").then_some(()));
    assert_eq!(mirrorball.metric("mirrorball_leg_active", &of_leg("2")), 1.0);
    // It returns, and is returned to after its time.
    first.next = 20_000;
    let began = clock::now();
    let first = first.beam(1000);
    let (stamp, gap) = watch.until_another();
    assert!(stamp.number >= 20_000 && gap < Duration::from_millis(100), "{gap:?}");
    assert!(clock::now() - began >= Duration::from_millis(950), "after its time");
    (0..200).for_each(|_| assert!(watch.next().0.number >= 20_000));
    first.stop();
    second.stop();
}

#[test]
fn legs_without_rtp_are_one_stream_too() {
    let senders = [Group::fresh(), Group::fresh()].map(Bare::to);
    let sources = senders.each_ref().map(|sender| format!("\"udp://{}\"", sender.group)).join(", ");
    let mirrorball = Setup::new()
        .channel_of_sources("news", &sources)
        .channel_line("redundancy = \"failover\"\nfailover_after = \"100ms\"")
        .start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let [first, second] = senders;
    let mut before: Option<Vec<u8>> = None;
    for number in 0..300_u64 {
        // Both send, and after a while the second one alone.
        if number < 100 {
            first.send(&filled(1));
        }
        second.send(&filled(2));
        thread::sleep(BEAT);
        let Some(packet) = viewer.packet_within(0, if number < 100 { PATIENCE } else { BEAT }) else {
            continue;
        };
        if let Some(before) = before.replace(packet.clone()) {
            let sequence = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
            assert_eq!(sequence(&packet), sequence(&before).wrapping_add(1));
            assert_eq!(packet[8..12], before[8..12], "one SSRC");
        }
    }
    assert_eq!(before.map(|packet| packet[12 + 4]), Some(2), "the second one's");
}

#[test]
fn two_senders_of_one_group_that_send_the_same_are_merged_under_one_ssrc() {
    let group = Group::source_specific();
    let hosts = [7, 8].map(|last| Ipv4Addr::new(127, 0, 0, last));
    let [one, mut other] = hosts.map(|host| Source::from(host, group));
    other.programme = one.programme;
    let (ip, port, ssrc) = (group.0.ip(), group.0.port(), one.ssrc);
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=two senders\r\nt=0 0\r\nm=video {port} RTP/AVP 33\r\n\
         c=IN IP4 {ip}/32\r\na=source-filter: incl IN IP4 {ip} {} {}\r\na=ssrc-group:DUP {ssrc} {}\r\n",
        hosts[0], hosts[1], other.ssrc
    );
    let mirrorball = Setup::new().described("news", &sdp).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let is_lost = |leg: usize, number: u64| number > 0 && chance(0, number) / 10 == leg as u64;
    let sending = send([one, other], 0..1000, 3, is_lost);
    for number in 0..1000 {
        let stamp = viewer.stamp();
        assert_eq!((stamp.number, stamp.ssrc), (number, ssrc));
    }
    sending.join().expect("sent");
    mirrorball.expect_metric("mirrorball_channel_ssrc_changes_total", &NEWS, 0.0);
}

#[test]
fn legs_that_differ_by_their_network_alone_have_an_interface_each() {
    in_a_network_of_its_own("one stream on two networks", &NEEDS, || {
        let plugs = [("red", 77), ("blue", 78)]
            .map(|(name, net)| Plug { name, address: Ipv4Addr::new(10, net, 0, 1) });
        plugs.iter().for_each(Plug::plug_in);
        let group = Group::fresh();
        let [red, mut blue] = plugs.each_ref().map(|plug| Source::on(plug.address, plug.address, group));
        (blue.programme, blue.ssrc) = (red.programme, red.ssrc);
        let medium = format!("m=video {} RTP/AVP 33\r\nc=IN IP4 {}/32\r\n", group.0.port(), group.0.ip());
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=two networks\r\nt=0 0\r\na=group:DUP a b\r\n{medium}a=mid:a\r\n\
             {medium}a=mid:b\r\n"
        );
        let mirrorball = Setup::new()
            .described_by("news", &sdp, "interfaces = [\"red\", \"blue\"]\nsilent_after = \"300ms\"")
            .start();
        let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
        let apart = |leg: usize, number: u64| number > 0 && chance(0, number) / 10 == leg as u64;
        let sending = send([red, blue], 0..1000, 0, apart);
        assert_eq!(missing(&mut viewer, 0..1000), BTreeSet::new());
        let [red, mut blue] = sending.join().expect("sent");
        // One network is gone.
        plugs[0].unplug();
        mirrorball.expect_metric("mirrorball_leg_joined", &of_leg("1"), 0.0);
        assert_eq!(mirrorball.metric("mirrorball_channel_joined", &NEWS), 1.0, "the other one is there");
        blue.next = 1000;
        blue.send(100);
        assert_eq!(missing(&mut viewer, 1000..1100), BTreeSet::new());
        // It is back.
        plugs[0].plug_in();
        mirrorball.expect_metric("mirrorball_leg_joined", &of_leg("1"), 1.0);
        let mut again = Source::on(plugs[0].address, plugs[0].address, group);
        (again.programme, again.ssrc, again.next) = (red.programme, red.ssrc, 1100);
        again.send(100);
        assert_eq!(missing(&mut viewer, 1100..1200), BTreeSet::new());
    });
}

const NEEDS: Needs = Needs { programs: &["ip"], route: false, ipv6: false };

/// A packet of a transport stream that is filled with this.
fn filled(fill: u8) -> [u8; 188] {
    let mut packet = [fill; 188];
    packet[..4].copy_from_slice(&[0x47, 1, 0, 0x10]);
    packet
}
