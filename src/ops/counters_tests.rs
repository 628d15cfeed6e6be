//! Counters as a scrape reads them: none goes down while its series lives, whatever comes and whoever goes, and each that
//! can be named beforehand is there from the start.

use super::super::running::drain::Drain;
use super::super::running::reloads::Reloads;
use super::tests::{config, free_port};
use super::*;
use crate::relay::rig::outward;
use crate::relay::{
    Batch, Carriage, Catalogue, Coalesce, Cursor, EnterAt, Keeping, OfferRepair, RingLimits, ServerSocket,
    StreamSink, Subscription,
};
use crate::wire::sdp;
use crate::wire::{rtcp, rtp};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::ingest::Receivers;

/// The counters of an exposition, by series: all but gauges. A histogram's buckets, sums and counts are counters too.
fn counters(exposition: &[u8]) -> BTreeMap<String, f64> {
    let text = std::str::from_utf8(exposition).expect("text");
    let gauges: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge").map(str::to_owned))
        .collect();
    let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        (series.to_owned(), value.parse().expect("a number"))
    });
    series.filter(|(series, _)| !gauges.iter().any(|gauge| family(series) == gauge)).collect()
}

fn family(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

fn sum(counters: &BTreeMap<String, f64>, start: &str) -> f64 {
    counters.iter().filter(|(series, _)| series.starts_with(start)).map(|(_, value)| value).sum()
}

#[test]
fn every_family_is_there_from_the_first_scrape_and_counts_from_0() {
    let mut config = config(free_port());
    (config.limits.line_groups, config.limits.line_mbit) = (Some(8), Some(50));
    let pulled = "[[channel]]\nname = \"gate\"\nsource = \"rtsp://127.0.0.1:1/gate\"\njoin = \"on-demand\"\n";
    let open = "[http]\nlisten = [\"127.0.0.1:0\"]\nopen = [\"239.9.0.0/16\"]\n";
    let recordings = tempfile::TempDir::new().expect("a directory");
    let kept =
        format!("record = \"2h\"\n[storage]\ndirectory = {:?}\nmax_bytes = 2_000_000\n", recordings.path());
    let shown = "[[channel]]\nname = \"loop\"\nsource = \"file:///nowhere.ts\"\n";
    let text = [open, shown, pulled, &kept].concat();
    let more = Config::parse(&text, Path::new("a.toml")).unwrap_or_else(|error| panic!("{error}"));
    config.channels.extend(more.channels);
    (config.http, config.storage) = (more.http, more.storage);
    let appliance = Appliance::start(&config).unwrap_or_else(|error| panic!("{error}"));
    let scrape = appliance.source().metrics(Visits::default(), Accepts::default()).bytes;
    let text = std::str::from_utf8(&scrape).expect("text").to_owned();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = fs::read_to_string(page).expect("the page of metrics");
    let documented: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(documented.len() > 40, "the page lists them");
    // Figures that there are none of yet: an age, a mean, a deviation, a certificate, what a channel refuses; and legs, of a
    // channel that has several.
    let not_yet = [
        "mirrorball_channel_refused_total",
        "mirrorball_repair_refused_total",
        "mirrorball_channel_jitter_seconds",
        "mirrorball_channel_last_packet_age_seconds",
        "mirrorball_track_start_age_seconds",
        "mirrorball_reported_loss_ratio",
        "mirrorball_reported_jitter_seconds",
        "mirrorball_certificate_expiry_seconds",
        "mirrorball_admin_certificate_expiry_seconds",
    ];
    let is_not_yet = |name: &str| not_yet.contains(&name) || name.starts_with("mirrorball_leg_");
    for name in documented.into_iter().filter(|name| name.starts_with("mirrorball_")) {
        let is_there = text.lines().any(|line| line.starts_with(&format!("# TYPE {name} ")));
        assert_eq!(is_there, !is_not_yet(name), "{name}");
    }
    let counters = counters(&scrape);
    for start in [
        "mirrorball_channel_",
        "mirrorball_pull_",
        "mirrorball_drops",
        "mirrorball_sessions",
        "mirrorball_rtsp_requests",
    ] {
        assert_eq!(sum(&counters, start), 0.0, "{start}");
    }
    for reason in ["rtcp_start", "payload_type", "rtp_version"] {
        let series = format!("mirrorball_drops_total{{leg=\"in\",reason=\"{reason}\"}}");
        assert!(counters.contains_key(&series), "{series}");
    }
    appliance.stop();
}

/// Where a task of another kind is pushed, its kind is to have a series from the start.
#[test]
fn every_kind_of_task_has_a_series() {
    let appliance = Appliance::start(&config(free_port())).unwrap_or_else(|error| panic!("{error}"));
    let counters = counters(&appliance.source().metrics(Visits::default(), Accepts::default()).bytes);
    let mut kinds = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if !entry.to_string_lossy().contains("test") {
                let text = fs::read_to_string(entry).expect("a source file");
                let code = text.split("#[cfg(all(test").next().unwrap_or_default();
                let code = code.split("#[cfg(test)]\nmod").next().unwrap_or_default();
                kinds.extend(
                    code.split("Task::new(\"")
                        .skip(1)
                        .filter_map(|rest| rest.split('"').next().map(str::to_owned)),
                );
            }
        }
    }
    assert!(kinds.len() > 8, "{kinds:?}");
    for kind in kinds {
        let has_series = |series: &String| series.ends_with(&format!("task=\"{kind}\"}}"));
        assert!(counters.keys().any(has_series), "{kind}");
    }
    appliance.stop();
}

/// What a scrape of so many channels may be.
const CHANNELS: usize = 300;
const BYTES: usize = 1_000_000;
/// How long the shortest of three may take by any build; docs/performance.md has what a release takes.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn a_scrape_of_300_channels_is_small_and_a_channel_that_goes_takes_its_series_along() {
    let appliance = Appliance::start(&config(free_port())).unwrap_or_else(|error| panic!("{error}"));
    let mut world = World::of(appliance.engine());
    for number in 0..CHANNELS {
        world.take(&Step::AddChannel).expect("a channel");
        for packet in 0..3 {
            let (step, sender) = (1, 0);
            let packet = Step::Packet { channel: number, sender, step, is_foreign: packet == 2, pause_ms: 1 };
            world.take(&packet).expect("it is counted");
        }
        world.take(&Step::Watch { channel: number, over_udp: true }).expect("a viewer");
    }
    let engine = appliance.engine().with_channels(&world.channels);
    let scrape = |gzip| {
        let once = |_| {
            let began = clock::now();
            let accepts = Accepts { open_metrics: false, gzip };
            let scrape = metrics::render(&engine, Visits::default(), world.now, accepts);
            (scrape.bytes, began.elapsed())
        };
        (0..3).map(once).min_by_key(|(_, took)| *took).expect("three")
    };
    let ((plain, took), (zipped, took_zipped)) = (scrape(false), scrape(true));
    let series =
        |text: &[u8]| text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#")).count();
    let told = format!(
        "{} series, {} bytes in {took:?}; gzipped {} in {took_zipped:?}",
        series(&plain),
        plain.len(),
        zipped.len()
    );
    println!("{told}");
    assert!(plain.len() < BYTES && zipped.len() < BYTES / 8, "{told}");
    assert!(took < SOON && took_zipped < SOON, "{told}");
    assert!(series(&plain) < CHANNELS * 50, "{told}");
    let gone = world.channels[0].name.clone();
    let of_it = format!("channel=\"{gone}\"");
    let has_it =
        |scrape: &[u8]| String::from_utf8_lossy(scrape).lines().filter(|line| line.contains(&of_it)).count();
    assert!(has_it(&plain) > 30, "it was there: {told}");
    world.take(&Step::RemoveChannel(0)).expect("it goes");
    let engine = appliance.engine().with_channels(&world.channels);
    let scrape = metrics::render(&engine, Visits::default(), world.now, Accepts::default()).bytes;
    assert_eq!(has_it(&scrape), 0, "{gone}");
    drop(world);
    appliance.stop();
}

/// What happens between two scrapes.
#[derive(Debug, Clone)]
enum Step {
    AddChannel,
    RemoveChannel(usize),
    /// Its groups are joined, or left.
    Join(usize),
    Leave(usize),
    /// A packet of one of several senders, so far from the number that is due, with a type that may be none of the
    /// channel's, after a pause.
    Packet {
        channel: usize,
        sender: u8,
        step: i32,
        is_foreign: bool,
        pause_ms: u16,
    },
    /// Anything, on the port of RTP or of RTCP.
    Bytes {
        channel: usize,
        to_rtcp: bool,
        bytes: Vec<u8>,
    },
    Watch {
        channel: usize,
        over_udp: bool,
    },
    /// A viewer over a connection reads some.
    Read(usize, usize),
    Go(usize),
    Scrape,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0..8usize;
    let step = prop_oneof![20 => Just(1), 4 => -120..120i32, 1 => any::<i16>().prop_map(i32::from)];
    let pause = prop_oneof![20 => 0..5u16, 2 => 500..2500u16];
    let sender = prop_oneof![6 => Just(0u8), 2 => Just(1u8), 1 => 2..5u8];
    let packet = (which.clone(), sender, step, prop::bool::weighted(0.05), pause);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        (0x80..=0xbfu8, any::<u8>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(first, second, rest)| [vec![first, second], rest].concat()),
    ];
    let step = prop_oneof![
        2 => Just(Step::AddChannel),
        1 => which.clone().prop_map(Step::RemoveChannel),
        1 => which.clone().prop_map(Step::Join),
        1 => which.clone().prop_map(Step::Leave),
        30 => packet.prop_map(|(channel, sender, step, is_foreign, pause_ms)| Step::Packet {
            channel, sender, step, is_foreign, pause_ms
        }),
        5 => (which.clone(), any::<bool>(), bytes).prop_map(|(channel, to_rtcp, bytes)| Step::Bytes {
            channel, to_rtcp, bytes
        }),
        3 => (which.clone(), any::<bool>()).prop_map(|(channel, over_udp)| Step::Watch { channel, over_udp }),
        5 => (which.clone(), 1..40usize).prop_map(|(viewer, packets)| Step::Read(viewer, packets)),
        2 => which.prop_map(Step::Go),
        8 => Just(Step::Scrape),
    ];
    prop::collection::vec(step, 1..100)
}

struct Deaf;

impl StreamSink for Deaf {
    fn pump(&self, _: Option<&Batch<'_>>) {}

    fn close(&self) {}
}

struct Watcher {
    _subscription: Subscription,
    cursor: Option<Cursor>,
}

/// A program whose channels come and go.
struct World {
    engine: Engine,
    server: Arc<ServerSocket>,
    client: UdpSocket,
    channels: Vec<Arc<Channel>>,
    watchers: Vec<Watcher>,
    named: usize,
    numbers: BTreeMap<(String, u8), u16>,
    now: Instant,
    before: BTreeMap<String, f64>,
    /// Datagrams that were handed to tracks and not taken, by our own count.
    refused: u64,
}

impl World {
    fn of(engine: &Engine) -> Self {
        let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        Self {
            engine: engine.with_channels(&[]),
            server: ServerSocket::growing(socket()).expect("a socket that sends"),
            client: socket(),
            channels: Vec::new(),
            watchers: Vec::new(),
            named: 0,
            numbers: BTreeMap::new(),
            now: clock::now(),
            before: BTreeMap::new(),
            refused: 0,
        }
    }

    fn receivers(&self) -> &Receivers {
        &self.engine.receivers
    }

    fn channel(&self, number: usize) -> Option<Arc<Channel>> {
        self.channels.get(number % self.channels.len().max(1)).cloned()
    }

    fn add_channel(&mut self) {
        self.named += 1;
        let name = format!("channel-{}", self.named);
        let group = Ipv4Addr::new(239, 77, 90, (self.named % 250) as u8 + 1).into();
        let presentation = sdp::mpegts(&name, group, 5004, None);
        let limits = RingLimits { age: Duration::from_secs(2), bytes: 20_000 };
        let keeping = Keeping {
            silent_after: Duration::from_secs(1),
            limits,
            coalesce: Coalesce::Auto,
            enter_at: EnterAt::Live,
            offer_repair: OfferRepair::Known,
        };
        let (outward, dispatch) = (outward(&name), &self.engine.dispatch);
        self.channels.push(Channel::new(&outward, presentation, keeping, Arc::default(), dispatch, self.now));
    }

    fn receive(&mut self, channel: &Channel, datagram: &[u8], to_rtcp: bool) {
        let track = &channel.tracks[0];
        let from = ([192, 0, 2, 7], 4000).into();
        let before = track.stats(self.now).refused;
        if to_rtcp {
            match rtcp::reflectable(datagram) {
                Ok(Some(reflectable)) => track.receive_rtcp(&reflectable, self.now),
                Ok(None) => {}
                Err(reason) => track.refuse_rtcp(reason, datagram, self.now),
            }
        } else {
            match rtp::check(datagram) {
                Ok(header) => drop(track.receive(&header, datagram, from, self.now)),
                Err(reason) => track.refuse(reason, datagram, self.now),
            }
        }
        self.refused += u64::from(before != track.stats(self.now).refused);
    }

    fn packet(&mut self, channel: &Channel, sender: u8, step: i32, is_foreign: bool) {
        let number = self.numbers.entry((channel.name.clone(), sender)).or_insert(u16::MAX - 20);
        let sequence = number.wrapping_add(step as u16);
        if step > 0 {
            *number = sequence;
        }
        let mut datagram = vec![0x80, if is_foreign { 96 } else { 33 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, sender];
        datagram[2..4].copy_from_slice(&sequence.to_be_bytes());
        datagram.resize(12 + 188, 0x47);
        self.receive(channel, &datagram, false);
    }

    fn watch(&mut self, channel: &Channel, over_udp: bool) {
        let flow = &channel.tracks[0].rtp;
        let from = flow.ring().head();
        let watcher = if over_udp {
            let address = self.client.local_addr().expect("bound");
            let subscription =
                flow.subscribe_datagrams(Carriage::Udp, (&self.server, address), from, Arc::new(()), None);
            Watcher { _subscription: subscription, cursor: None }
        } else {
            let cursor = flow.cursor(Carriage::Tcp, from);
            let subscription = flow.subscribe_stream(Carriage::Tcp, Arc::new(Deaf), cursor.place());
            Watcher { _subscription: subscription, cursor: Some(cursor) }
        };
        self.watchers.push(watcher);
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::AddChannel => self.add_channel(),
            Step::RemoveChannel(number) if !self.channels.is_empty() => {
                let gone = self.channels.swap_remove(number % self.channels.len());
                self.receivers().forget(&gone);
            }
            Step::Join(number) => {
                if let Some(channel) = self.channel(*number) {
                    self.receivers().receive(&channel, Some("lo"));
                }
            }
            Step::Leave(number) => {
                if let Some(channel) = self.channel(*number) {
                    self.receivers().forget(&channel);
                }
            }
            Step::Packet { channel, sender, step, is_foreign, pause_ms } => {
                self.now += Duration::from_millis(u64::from(*pause_ms));
                if let Some(channel) = self.channel(*channel) {
                    self.packet(&channel, *sender, *step, *is_foreign);
                    channel.tracks[0].rtp.tell();
                    channel.tracks[0].rtp.rhythm().go(clock::now());
                }
            }
            Step::Bytes { channel, to_rtcp, bytes } => {
                if let Some(channel) = self.channel(*channel) {
                    self.receive(&channel, bytes, *to_rtcp);
                }
            }
            Step::Watch { channel, over_udp } => {
                if let Some(channel) = self.channel(*channel) {
                    self.watch(&channel, *over_udp);
                }
            }
            Step::Read(number, packets) => {
                let place = number % self.watchers.len().max(1);
                if let Some(cursor) = self.watchers.get_mut(place).and_then(|watcher| watcher.cursor.as_mut())
                {
                    let mut taken = Vec::new();
                    cursor.take(u64::MAX, *packets, &mut taken);
                    cursor
                        .count_sent(taken.len() as u64, taken.iter().map(|packet| packet.len() as u64).sum());
                }
            }
            Step::Go(number) if !self.watchers.is_empty() => {
                drop(self.watchers.swap_remove(number % self.watchers.len()));
            }
            Step::RemoveChannel(_) | Step::Go(_) => {}
            Step::Scrape => self.scrape()?,
        }
        Ok(())
    }

    fn scrape(&mut self) -> Result<(), TestCaseError> {
        self.engine = self.engine.with_channels(&self.channels);
        let counters =
            counters(&metrics::render(&self.engine, Visits::default(), self.now, Accepts::default()).bytes);
        let names: Vec<_> =
            self.channels.iter().map(|channel| format!("channel=\"{}\"", channel.name)).collect();
        for (series, before) in &self.before {
            match counters.get(series) {
                Some(value) => prop_assert!(value >= before, "{series} was {before} and is {value}"),
                None => {
                    let is_gone =
                        series.contains("channel=") && !names.iter().any(|name| series.contains(name));
                    prop_assert!(is_gone, "{series} was {before} and is no more");
                }
            }
        }
        let refused: f64 = ["rtp_", "rtcp_", "payload_type"]
            .map(|reason| sum(&counters, &format!("mirrorball_drops_total{{leg=\"in\",reason=\"{reason}")))
            .iter()
            .sum();
        prop_assert_eq!(refused, self.refused as f64, "what removed channels have counted is kept");
        self.before = counters;
        Ok(())
    }
}

impl Engine {
    /// The same program with other channels, as after a reconfiguration.
    fn with_channels(&self, channels: &[Arc<Channel>]) -> Self {
        Self {
            media: self.media.clone(),
            control: self.control.clone(),
            archive: None,
            projectors: None,
            dispatch: self.dispatch.clone(),
            poller: self.poller.clone(),
            catalogue: Arc::new(Catalogue::new(channels.iter().cloned())),
            receivers: self.receivers.clone(),
            server: self.server.clone(),
            line_up: self.line_up.clone(),
            hearing: self.hearing.clone(),
            announcer: self.announcer.clone(),
            puller: self.puller.clone(),
            previews: self.previews.clone(),
            started_at: self.started_at,
            drain: Drain::new(self.server.clone(), Duration::ZERO),
            reloads: Reloads::default(),
            certificates: None,
            instance: self.instance.clone(),
            bars: self.bars.clone(),
            operators: Mutex::new(self.operators()),
            timers: self.timers.clone(),
            directories: Default::default(),
            open_groups: None,
        }
    }
}

#[test]
fn no_counter_goes_down_whatever_comes_and_whoever_goes() {
    let appliance = Appliance::start(&config(free_port())).unwrap_or_else(|error| panic!("{error}"));
    let world = RefCell::new(World::of(appliance.engine()));
    let cases = Cases { cases: 24, failure_persistence: None, ..Cases::default() };
    let result = TestRunner::new(cases).run(&steps(), |steps| {
        let mut world = world.borrow_mut();
        steps.iter().try_for_each(|step| world.take(step))?;
        world.scrape()
    });
    let world = world.into_inner();
    world.channels.iter().for_each(|channel| world.receivers().forget(channel));
    drop(world);
    appliance.stop();
    result.unwrap_or_else(|failure| panic!("{failure}"));
}
