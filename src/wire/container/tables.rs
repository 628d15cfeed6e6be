//! The tables of a track in `moov` (ISO/IEC 14496-12 sections 8.6 and 8.7), read into runs: none of them is spread out to
//! samples, of which there may be as many as a box likes to say.

use super::boxes::{NoFilm, Place};
use super::fields::Fields;
use super::read_at::ReadAt;
use super::runs::Run;
use super::samples::{Samples, Sizes, Time};

/// The samples that a `stbl` tells of: no more than the file holds. `frame`: how long a sample is where all are alike, as some
/// writers say that it is one byte. `left`: how many bytes of tables may still be read.
pub(super) fn samples<F: ReadAt + ?Sized>(
    file: &F,
    stbl: &Place,
    frame: Option<u32>,
    left: &mut usize,
) -> Result<Samples, NoFilm> {
    let mut tables = Tables { file, stbl, left };
    let (count, sizes) = tables.sizes(frame)?;
    let mut samples = Samples { sizes, ..Samples::default() };
    tables.put(&mut samples, count)?;
    tables.time(&mut samples)?;
    tables.delay(&mut samples)?;
    tables.mark(&mut samples)?;
    Ok(samples)
}

struct Tables<'a, F: ?Sized> {
    file: &'a F,
    stbl: &'a Place,
    left: &'a mut usize,
}

impl<F: ReadAt + ?Sized> Tables<'_, F> {
    /// How many samples there are, and how long they are.
    fn sizes(&mut self, frame: Option<u32>) -> Result<(u32, Sizes), NoFilm> {
        let Some(place) = self.stbl.find(self.file, b"stsz")? else {
            return self.short_sizes();
        };
        let table = self.table(&place)?;
        let mut fields = Fields(&table);
        let head = fields.word().zip(fields.word());
        let (size, count) = head.ok_or_else(|| place.wrong("ends too early"))?;
        let sizes = match size {
            0 => Sizes::Each(fields.rows::<1>(count).map(|[size]| size).collect()),
            size => Sizes::Equal(frame.unwrap_or(size)),
        };
        Ok((count, sizes))
    }

    /// The same, of few bits each.
    fn short_sizes(&mut self) -> Result<(u32, Sizes), NoFilm> {
        let place = self.stbl.need(self.file, b"stz2")?;
        let table = self.table(&place)?;
        let mut fields = Fields(&table);
        let head = fields.word().zip(fields.word());
        let (bits, count) = head.ok_or_else(|| place.wrong("ends too early"))?;
        let bytes = fields.0.iter();
        let sizes: Vec<u32> = match bits & 0xFF {
            4 => bytes.flat_map(|byte| [byte >> 4, byte & 15]).map(u32::from).take(count as usize).collect(),
            8 => bytes.map(|byte| u32::from(*byte)).take(count as usize).collect(),
            16 => {
                let (pairs, _) = fields.0.as_chunks();
                pairs.iter().map(|pair| u16::from_be_bytes(*pair).into()).take(count as usize).collect()
            }
            _ => return Err(place.wrong("has sizes of a length that there is not")),
        };
        Ok((count, Sizes::Each(sizes)))
    }

    /// Where they are.
    fn put(&mut self, samples: &mut Samples, count: u32) -> Result<(), NoFilm> {
        let (stsc, per_chunk) = self.list(b"stsc")?.ok_or_else(|| self.missing(b"stsc"))?;
        let mut per_chunk = Fields(&per_chunk).rows::<3>(stsc).peekable();
        let chunks = self.chunks()?;
        let (mut number, mut each) = (0, 0);
        for offset in chunks {
            number += 1;
            while let Some([_, most, entry]) = per_chunk.next_if(|[first, ..]| *first <= number) {
                if entry > 1 {
                    return Err(self.stbl.wrong("has samples of several codings"));
                }
                each = most;
            }
            let most = each.min(count.saturating_sub(samples.count));
            if !samples.put(offset, most, self.file.size()) {
                break;
            }
        }
        Ok(())
    }

    /// Where each chunk of them begins.
    fn chunks(&mut self) -> Result<Vec<u64>, NoFilm> {
        if let Some((count, table)) = self.list(b"stco")? {
            return Ok(Fields(&table).rows::<1>(count).map(|[offset]| offset.into()).collect());
        }
        let (count, table) = self.list(b"co64")?.ok_or_else(|| self.missing(b"stco"))?;
        let long = |[high, low]: [u32; 2]| u64::from(high) << 32 | u64::from(low);
        Ok(Fields(&table).rows::<2>(count).map(long).collect())
    }

    /// When they are decoded. What is told of none of them is as it was of the last.
    fn time(&mut self, samples: &mut Samples) -> Result<(), NoFilm> {
        let (rows, table) = self.list(b"stts")?.unwrap_or_default();
        let (mut first, mut at) = (0_u32, 0_u64);
        samples.times.push(Run { first, what: Time { at, lasts: 0 } });
        for [count, lasts] in Fields(&table).rows::<2>(rows).take_while(|[count, _]| *count > 0) {
            if first >= samples.count {
                break;
            }
            samples.times.push(Run { first, what: Time { at, lasts } });
            first = first.saturating_add(count);
            at = at.saturating_add(u64::from(count) * u64::from(lasts));
        }
        Ok(())
    }

    /// How much later they are shown.
    fn delay(&mut self, samples: &mut Samples) -> Result<(), NoFilm> {
        let (rows, table) = self.list(b"ctts")?.unwrap_or_default();
        let mut first = 0_u32;
        for [count, delay] in Fields(&table).rows::<2>(rows).take_while(|[count, _]| *count > 0) {
            if first >= samples.count {
                break;
            }
            // Below 0 it may be in version 1 alone, and is in files of version 0 as well.
            samples.delays.push(Run { first, what: delay.cast_signed() });
            first = first.saturating_add(count);
        }
        if first > 0 && first < samples.count {
            samples.delays.push(Run { first, what: 0 });
        }
        Ok(())
    }

    /// Which of them a decoder can start with.
    fn mark(&mut self, samples: &mut Samples) -> Result<(), NoFilm> {
        let Some((count, table)) = self.list(b"stss")? else { return Ok(()) };
        let numbers = Fields(&table).rows::<1>(count).filter_map(|[number]| number.checked_sub(1));
        let mut syncs: Vec<_> = numbers.filter(|number| *number < samples.count).collect();
        syncs.sort_unstable();
        syncs.dedup();
        samples.syncs = Some(syncs);
        Ok(())
    }

    /// The rows of a table that may be there, and how many it says that they are.
    fn list(&mut self, kind: &[u8; 4]) -> Result<Option<(u32, Vec<u8>)>, NoFilm> {
        let Some(place) = self.stbl.find(self.file, kind)? else { return Ok(None) };
        let mut table = self.table(&place)?;
        let count = Fields(&table).word().ok_or_else(|| place.wrong("ends too early"))?;
        table.drain(..4);
        Ok(Some((count, table)))
    }

    /// What is in a table, behind its version and flags.
    fn table(&mut self, place: &Place) -> Result<Vec<u8>, NoFilm> {
        let bytes = place.behind(4).bytes(self.file, *self.left)?;
        *self.left = self.left.saturating_sub(bytes.len());
        Ok(bytes)
    }

    fn missing(&self, kind: &[u8; 4]) -> NoFilm {
        NoFilm::Missing { kind: super::boxes::Kind(*kind), at: self.stbl.at }
    }
}
