//! What is kept of one track, as it is read: from a recording, which may go on, or from a film.

use std::io;

use crate::wire::recording::{Format, Record};

use super::run::{Memory, Run};

/// A place in it. All seeking is by when packets came, in microseconds.
pub(in super::super) trait Reads: Send {
    /// Stands at the first packet that came no earlier than that. `false`: there is none, or none yet.
    fn seek(&mut self, to_us: u64) -> io::Result<bool>;

    /// Stands at the newest place no later than that where a decoder can start, or at the oldest that there is. `false`: nothing is
    /// there from there on.
    fn seek_start(&mut self, to_us: u64) -> io::Result<bool>;

    /// Stands at the newest place no later than that where a decoder can start. `false`: there is none.
    fn seek_start_before(&mut self, to_us: u64) -> io::Result<bool>;

    /// Stands at the first place no earlier than that where a decoder can start. `false`: there is none yet.
    fn seek_start_after(&mut self, from_us: u64) -> io::Result<bool>;

    /// Stands at this packet, which came then or somewhat later; if it is not there, at the first that came no earlier.
    fn seek_packet(&mut self, us: u64, packet: (u32, u16)) -> io::Result<bool>;

    /// The next packet. `None`: it is to come, or that was all.
    fn peek(&mut self) -> io::Result<Option<Record>>;

    /// Passes the next packet over.
    fn pass(&mut self);

    /// Passes over what came before that. `false`: nothing is left.
    fn pass_to(&mut self, us: u64) -> io::Result<bool> {
        while let Some(next) = self.peek()? {
            if next.arrived_us >= us {
                return Ok(true);
            }
            self.pass();
        }
        Ok(false)
    }

    /// Takes packets that came until then, so many at most. `None`: none did.
    fn take(&mut self, until_us: u64, most: usize, memory: &mut Memory) -> io::Result<Option<Run>>;

    /// How fast it is about there, in bytes; 0 where that is not known.
    fn bytes_per_second(&self) -> io::Result<u64>;

    /// Whether nothing of it is to come.
    fn is_whole(&self) -> bool;

    /// Another place in the same.
    fn another(&self) -> Box<dyn Reads>;
}

/// Who reads each track, and what there is of it.
pub(in super::super) type Readers = Vec<(Box<dyn Reads>, Format)>;
