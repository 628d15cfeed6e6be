//! What a hint track's packets carry, out of the samples of the file.

use super::boxes::Place;
use super::coding::Coding;
use super::film::Film;
use super::hints::{Hint, NoHint, Of, Part};
use super::read_at::ReadAt;
use super::track::FilmTrack;

impl Film {
    /// The payload of a packet of the hint track at `place` in [`tracks`](Self::tracks), read from the file.
    ///
    /// # Errors
    /// It names a sample or an entry that the file does not have, or of which it has less.
    pub fn hinted<F: ReadAt + ?Sized>(&self, file: &F, place: usize, hint: &Hint) -> Result<Vec<u8>, NoHint> {
        hint.payload(|part, payload| {
            let (of, number, offset, length) = part.elsewhere()?;
            let track = self.named(place, of)?;
            let (begins, ends) = match part {
                Part::Description { .. } => {
                    let entry = entry(file, &track.stsd, number)?;
                    (entry.at, entry.end)
                }
                _ => {
                    let sample = track.samples.sample(number.checked_sub(1)?)?;
                    (sample.offset, sample.offset.checked_add(sample.size.into())?)
                }
            };
            let from = begins.checked_add(offset.into())?;
            from.checked_add(length.into()).filter(|end| *end <= ends)?;
            let before = payload.len();
            payload.resize(before + usize::from(length), 0);
            file.read_at(from, payload.get_mut(before..)?).ok()
        })
    }

    fn named(&self, place: usize, of: Of) -> Option<&FilmTrack> {
        let own = self.tracks.get(place)?;
        let (Of::Media(of), Coding::Hints(hints)) = (of, &own.coding) else { return Some(own) };
        let id = hints.media.get(of)?;
        self.tracks.iter().find(|track| track.id == *id)
    }
}

fn entry<F: ReadAt + ?Sized>(file: &F, stsd: &Place, index: u32) -> Option<Place> {
    let place = usize::try_from(index).ok()?.checked_sub(1)?;
    stsd.behind(8).boxes(file).nth(place)?.ok()
}
