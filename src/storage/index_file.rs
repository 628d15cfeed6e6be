//! The file of an index, as it is read: all records are equally long, so that each is found by its number.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::wire::recording::{Header, RECORD_LEN, Record};

/// Of one track of a segment, which may still be written.
pub(super) struct IndexFile(File);

impl IndexFile {
    pub fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    /// What it says that it is of. `None`: it does not say that.
    pub fn header(&self) -> Option<Header> {
        let mut bytes = [0; RECORD_LEN];
        self.0.read_exact_at(&mut bytes, 0).ok()?;
        Header::read(&bytes).ok()
    }

    /// How many whole records there are.
    pub fn count(&self) -> io::Result<u64> {
        Ok((self.0.metadata()?.len() / RECORD_LEN as u64).saturating_sub(1))
    }

    /// The record of a number, from 0. `None`: it is damaged.
    pub fn record(&self, number: u64) -> io::Result<Option<Record>> {
        self.records(number, 1).map(|records| records.first().copied())
    }

    /// So many records from a number on, up to one that is damaged.
    pub fn records(&self, from: u64, count: usize) -> io::Result<Vec<Record>> {
        let mut bytes = vec![0; count * RECORD_LEN];
        self.0.read_exact_at(&mut bytes, (from + 1) * RECORD_LEN as u64)?;
        let mut records = Vec::with_capacity(count);
        records.extend(bytes.chunks_exact(RECORD_LEN).map_while(|bytes| Record::read(bytes).ok()));
        Ok(records)
    }
}
