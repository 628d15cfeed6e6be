//! What was really sent and what really came, packet by packet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mirrorball::event::clock;

use crate::vocabulary::{Group, Viewer};

const QUIET: Duration = Duration::from_millis(300);
const BETWEEN_REPORTS: Duration = Duration::from_millis(500);

/// Keeps every RTP packet that comes, by track, until it is asked for them.
pub struct Ear {
    asked: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<Vec<u8>>>>,
}

impl Ear {
    /// Hears the source itself.
    pub fn at_the_group(group: Group) -> Self {
        let socket = group.ear(0);
        socket.set_read_timeout(Some(QUIET)).expect("a timeout");
        let mut buffer = vec![0; 1 << 16];
        Self::hear(1, move |_| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
    }

    /// Hears what a viewer gets. As players do, it says that it is there as packets come.
    pub fn of(mut viewer: Viewer) -> Self {
        let tracks = viewer.media.len();
        let mut report_at = clock::now();
        Self::hear(tracks, move |track| {
            let packet = viewer.packet_within(track, QUIET / tracks as u32);
            let now = clock::now();
            if packet.is_some() && now >= report_at {
                viewer.report();
                report_at = now + BETWEEN_REPORTS;
            }
            packet
        })
    }

    fn hear(tracks: usize, mut next: impl FnMut(usize) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let until = asked.clone();
        let thread = thread::spawn(move || {
            let mut packets = vec![Vec::new(); tracks];
            loop {
                let last = until.load(Relaxed);
                let before: usize = packets.iter().map(Vec::len).sum();
                for (track, packets) in packets.iter_mut().enumerate() {
                    packets.extend(std::iter::from_fn(|| next(track)).take(256));
                }
                if last && packets.iter().map(Vec::len).sum::<usize>() == before {
                    return packets;
                }
            }
        });
        Self { asked, thread }
    }

    /// All packets, once nothing more comes.
    pub fn packets(self) -> Vec<Vec<Vec<u8>>> {
        self.asked.store(true, Relaxed);
        self.thread.join().expect("hearing does not fail")
    }
}
