//! Listening from its beginning to its report: places, ears, the time that they have.

use std::os::fd::AsFd;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::event::clock;
use crate::ingest::groups_of;
use crate::net::{Group, ReceiveBatch};
use crate::ops::machine::place::Place;
use crate::wire::sdp::Feed;

use super::Plan;
use super::ear::Ear;
use super::hearing::Hearing;
use super::report::{Heard, Report};

/// The longest wait, so that a stop is noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// Datagrams taken at once.
const BATCH: usize = 64;

/// Listens until the time is over, or a stop is asked for. `begun` gets a line for each track once it is joined.
///
/// # Errors
/// Why it can not begin.
pub fn run(plan: &Plan, stop: &Receiver<()>, mut begun: impl FnMut(&str)) -> Result<Report, String> {
    let (mut heard, mut ears) = (Vec::new(), Vec::new());
    let tracks = plan.tracks()?;
    let feeds = tracks.iter().flat_map(|track| track.feeds.iter().map(move |feed| (track, feed)));
    for (number, (description, feed)) in feeds.enumerate() {
        let place = Place::of(feed.group, plan.interface.as_ref())?;
        ears.extend(open(number, feed, &place)?);
        let protocol = place.protocol(feed.group);
        let hearing = Hearing::of(description.clone(), feed.clone());
        let track = Heard {
            place,
            protocol,
            interface: plan.interface.clone(),
            hearing,
            buffer_bytes: 0,
            dropped: 0,
        };
        begun(&format!("{}\n", track.joined(plan.length)));
        heard.push(track);
    }
    let began = clock::monotonic();
    let is_interrupted = listen(&mut ears, &mut heard, began + plan.length, stop);
    for ear in &ears {
        let track = &mut heard[ear.track];
        track.dropped += u64::from(ear.dropped);
        track.buffer_bytes = track.buffer_bytes.max(ear.buffer_bytes);
    }
    let length = clock::monotonic().saturating_sub(began);
    Ok(Report {
        source: plan.source.clone(),
        length,
        is_interrupted,
        ended: clock::unix_now(),
        tracks: heard,
    })
}

/// A feed's port, and the one of its RTCP where that is another.
fn open(track: usize, of: &Feed, place: &Place) -> Result<Vec<Ear>, String> {
    let groups = groups_of(of, place.index);
    let mut ears = Ear::open(track, of.port, &groups, &of.filter, false)?;
    if let Some(port) = of.own_rtcp_port() {
        let of_reports =
            |group: &Group| Group { address: of.rtcp_group.unwrap_or(group.address), ..group.clone() };
        let groups: Vec<_> = groups.iter().map(of_reports).collect();
        ears.extend(Ear::open(track, port, &groups, &of.filter, true)?);
    }
    Ok(ears)
}

/// Whether it ended before its time.
fn listen(ears: &mut [Ear], heard: &mut [Heard], until: Duration, stop: &Receiver<()>) -> bool {
    let mut batch = ReceiveBatch::new(BATCH);
    loop {
        let is_stopped = !matches!(stop.try_recv(), Err(TryRecvError::Empty));
        let left = until.saturating_sub(clock::monotonic());
        let mut waiting: Vec<_> =
            ears.iter().map(|ear| PollFd::new(ear.as_fd(), PollFlags::POLLIN)).collect();
        let wait = if is_stopped { Duration::ZERO } else { left.min(LONGEST_WAIT) };
        // Whatever cut it short: the sockets tell.
        let _ = poll(&mut waiting, PollTimeout::from(wait.as_millis() as u8)); // at most LONGEST_WAIT
        let now = clock::unix_now();
        for ear in &mut *ears {
            let (hearing, is_control) = (&mut heard[ear.track].hearing, ear.is_control);
            ear.take(&mut batch, |datagram| {
                if is_control {
                    hearing.control.take(datagram.payload);
                } else {
                    hearing.take(datagram.payload, datagram.source, datagram.received_at.unwrap_or(now));
                }
            });
        }
        // What had come by then was taken.
        if is_stopped || left.is_zero() {
            return is_stopped;
        }
    }
}
