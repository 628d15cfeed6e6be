//! A Crowd: many viewers, swept by one thread that takes what has come and keeps tally for each.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mirrorball::event::clock;

use super::patience::passes;
use super::source::Stamp;
use super::viewer::Viewer;

/// Between two sweeps: a few packets for each socket, far less than its buffer holds.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(8);
/// How long the last packet may take to reach everyone.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two signs of life.
const REPORT_EVERY: Duration = Duration::from_millis(1500);

/// Viewers that watch, and say by RTCP that they do.
pub struct Crowd {
    members: Arc<Mutex<Vec<Option<Member>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Member {
    viewer: Viewer,
    programme: u32,
    silent: bool,
    tally: Tally,
}

/// What a viewer got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub packets: u64,
    /// Numbers that never came.
    pub lost: u64,
    /// Packets that came again, or too late.
    pub stale: u64,
    /// Packets of another programme.
    pub mixed: u64,
    /// Packets that are not as they were sent.
    pub damaged: u64,
    /// The number that is due next, once there was a first.
    pub next: Option<u64>,
}

impl Crowd {
    /// Viewers and the programme that each watches. From its own arrival on each is swept, and reports, however long
    /// the others take to come.
    pub fn of(viewers: impl IntoIterator<Item = (Viewer, u32)>) -> Self {
        let members = Arc::<Mutex<Vec<Option<Member>>>>::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (swept, until) = (members.clone(), stop.clone());
        let thread = Some(thread::spawn(move || sweep_until(&until, &swept)));
        let crowd = Self { members, stop, thread };
        for (viewer, programme) in viewers {
            viewer.set_nonblocking(true);
            let member = Member { viewer, programme, silent: false, tally: Tally::default() };
            crowd.members().push(Some(member));
        }
        crowd
    }

    /// Takes one out of the crowd.
    #[track_caller]
    pub fn take(&self, place: usize) -> (Viewer, Tally) {
        let member = self.members()[place].take().expect("taken once");
        member.viewer.set_nonblocking(false);
        (member.viewer, member.tally)
    }

    /// Has one say nothing any more, and keep its connection.
    pub fn fall_silent(&self, place: usize) {
        self.members()[place].as_mut().expect("still here").silent = true;
    }

    /// Waits until everyone here has got the packet of this number of its programme.
    #[track_caller]
    pub fn expect_all_past(&self, programme: u32, number: u64) {
        let mut waiting = Vec::new();
        let all_past = passes(PATIENCE, || {
            waiting = self.waiting_for(programme, number);
            waiting.is_empty()
        });
        let some: Vec<_> = waiting.iter().take(5).collect();
        assert!(all_past, "{} viewers wait for packet {number}, among them {some:?}", waiting.len());
    }

    /// Whether everyone here has got the packet of this number of its programme.
    pub fn has_all_past(&self, programme: u32, number: u64) -> bool {
        self.waiting_for(programme, number).is_empty()
    }

    /// Who has not got the packet of this number yet, and what it has got.
    fn waiting_for(&self, programme: u32, number: u64) -> Vec<(usize, Tally)> {
        let members = self.members();
        let here = members.iter().enumerate().filter_map(|(place, member)| Some((place, member.as_ref()?)));
        let own = here.filter(|(_, member)| member.programme == programme);
        let tallies = own.map(|(place, member)| (place, member.tally));
        tallies.filter(|(_, tally)| tally.next.is_none_or(|next| next <= number)).collect()
    }

    /// Ends the sweeping and hands everyone out, with their places.
    pub fn disband(mut self) -> Vec<(usize, Viewer, Tally)> {
        self.stop.store(true, Relaxed);
        self.thread.take().expect("disbanded once").join().expect("sweeping does not fail");
        let members = mem::take(&mut *self.members());
        let here = members.into_iter().enumerate().filter_map(|(place, member)| Some((place, member?)));
        here.map(|(place, member)| {
            member.viewer.set_nonblocking(false);
            (place, member.viewer, member.tally)
        })
        .collect()
    }

    /// Disbands it. Everyone has got what was sent since its first packet, each once, in order and undamaged.
    #[track_caller]
    pub fn expect_flawless(self) {
        for (place, _viewer, tally) in self.disband() {
            assert!(tally.is_flawless(), "viewer {place} got {tally:?}");
        }
    }

    fn members(&self) -> MutexGuard<'_, Vec<Option<Member>>> {
        self.members.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

impl Tally {
    /// Nothing was lost, repeated, mixed or damaged.
    pub fn is_flawless(&self) -> bool {
        let Self { packets, lost, stale, mixed, damaged, .. } = *self;
        packets > 0 && lost + stale + mixed + damaged == 0
    }

    fn count(&mut self, packet: &[u8], programme: u32) {
        let Some(stamp) = Stamp::read(packet) else {
            self.damaged += 1;
            return;
        };
        if stamp.programme != programme {
            self.mixed += 1;
            return;
        }
        self.packets += 1;
        let due = self.next.unwrap_or(stamp.number);
        if stamp.number < due {
            self.stale += 1;
            return;
        }
        self.lost += stamp.number - due;
        self.next = Some(stamp.number + 1);
    }
}

fn sweep_until(stop: &AtomicBool, members: &Mutex<Vec<Option<Member>>>) {
    let mut buffer = vec![0; 1 << 16];
    let mut report_at = clock::now();
    while !stop.load(Relaxed) {
        let now = clock::now();
        let report = now >= report_at;
        if report {
            report_at = now + REPORT_EVERY;
        }
        for member in members.lock().expect("no panic").iter_mut().flatten() {
            member.sweep(&mut buffer, report);
        }
        thread::sleep(BETWEEN_SWEEPS);
    }
    members
        .lock()
        .expect("no panic")
        .iter_mut()
        .flatten()
        .for_each(|member| member.sweep(&mut buffer, false));
}

impl Member {
    fn sweep(&mut self, buffer: &mut [u8], report: bool) {
        let Self { viewer, programme, silent, tally } = self;
        viewer.drain(buffer, |packet| tally.count(packet, *programme));
        if report && !*silent {
            viewer.report();
        }
    }
}
