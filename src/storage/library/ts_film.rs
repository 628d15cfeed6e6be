//! A film: a transport stream in a file, and the index of it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::wire::stored::{Identity, RUN_LEN, TsIndex, TsMarking, next_run, span_us};
use crate::wire::transport_stream::{PACKET_LEN, pcr};

use super::super::files;
use super::first::First;
use super::no_film::NoFilm;

/// Bytes that are read at a time as an index is made.
const AT_A_TIME: usize = 4 << 20;

/// Bytes of its beginning and of its end that tell how long it takes, which is never so far from what its clock says.
const LOOK_AT: u64 = 2 << 20;
const FAR_US: u64 = 2_000_000;

/// A file that can be played.
#[derive(Debug)]
pub(in super::super) struct TsFilm {
    pub file: File,
    pub identity: Identity,
    pub index: TsIndex,
    pub(super) first: First,
}

/// An index, as it is made: so much at a time that others have their turn.
#[derive(Debug)]
pub(in super::super) struct Making {
    file: File,
    identity: Identity,
    marking: TsMarking,
    buffer: Vec<u8>,
}

/// What a file was known as.
pub(in super::super) fn identity(file: &File) -> io::Result<Identity> {
    let about = file.metadata()?;
    let changed_ns = i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
    Ok(Identity { bytes: about.len(), changed_ns })
}

impl TsFilm {
    /// One whose index was kept. `Err`: it is to be made.
    pub(super) fn kept(file: File, identity: Identity, kept_at: &Path) -> Result<Self, Box<Making>> {
        let kept = fs::read(kept_at).ok().and_then(|bytes| TsIndex::read(&bytes, identity).ok());
        match kept {
            Some(index) => Ok(Self { file, identity, index, first: First::at_random() }),
            None => {
                Err(Box::new(Making { file, identity, marking: TsMarking::default(), buffer: Vec::new() }))
            }
        }
    }
}

impl TsFilm {
    /// What its clock says at its beginning, in units of 1/90000 s.
    pub fn first_clock(&self) -> io::Result<u64> {
        let packets = self.packets(self.index.clock_begins_at(), RUN_LEN as u64)?;
        let first = packets.chunks_exact(PACKET_LEN).find_map(pcr);
        first.map(|pcr| pcr.base).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// How long what is in it takes, in microseconds: what follows can begin then. Its bytes may take somewhat longer.
    pub fn span_us(&self) -> io::Result<u64> {
        let (head, tail) = (self.packets(0, LOOK_AT)?, self.identity.bytes.saturating_sub(LOOK_AT));
        let (span, all) = (span_us(&head, &self.packets(tail, LOOK_AT)?), self.index.duration_us());
        // A clock that begins anew in its midst tells nothing.
        Ok(span.filter(|span| span.abs_diff(all) < FAR_US).unwrap_or(all))
    }

    /// Whole packets of what is there.
    fn packets(&self, at: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.identity.bytes.saturating_sub(at).min(most) as usize];
        self.file.read_exact_at(&mut bytes, at)?;
        let (mut packets, mut rest, packet_len) = (Vec::new(), &bytes[..], self.index.packet_len());
        while !rest.is_empty() {
            let run = next_run(rest, packet_len);
            packets.extend(run.packets(rest).flatten());
            rest = &rest[run.end..];
        }
        Ok(packets)
    }
}

impl Making {
    /// Reads on. `true`: there is more.
    pub fn go_on(&mut self) -> io::Result<bool> {
        let at = self.marking.at();
        let left = self.identity.bytes.saturating_sub(at);
        self.buffer.resize(left.min(AT_A_TIME as u64) as usize, 0);
        self.file.read_exact_at(&mut self.buffer, at)?;
        let is_all = self.buffer.len() as u64 == left;
        let goes_on = self.marking.read(&self.buffer, is_all);
        files::drop_behind(&self.file, at, self.marking.at());
        Ok(goes_on && !is_all)
    }

    /// The film, once all was read. Its index is kept there; where it can not be, it is made again the next time.
    pub fn film(self, kept_at: &Path) -> Result<TsFilm, NoFilm> {
        let Self { file, identity, marking, .. } = self;
        let index = marking.index()?;
        if let Err(error) = keep(kept_at, &index.bytes(identity)) {
            tracing::debug!(file = %kept_at.display(), %error, "the index of a film is not kept");
        }
        Ok(TsFilm { file, identity, index, first: First::at_random() })
    }
}

/// Writes a file as a whole, or not at all.
fn keep(at: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = PathBuf::from(at).into_os_string();
    beside.push(".new");
    at.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(&beside, bytes)?;
    fs::rename(beside, at)
}
