//! What must hold for whatever is in a file that is played: samples are counted, found, and within the file. `super::wire` is the
//! crate's wire floor.

use super::wire::container::{Film, Samples};

/// Samples that are looked at of each track.
const MOST: u32 = 200;

pub fn exercise(file: &[u8]) {
    let Ok(film) = Film::read(file) else { return };
    for track in &film.tracks {
        expect_samples(&track.samples, file.len() as u64);
        assert!(track.coding.is_played() || track.samples.count() == 0);
    }
}

fn expect_samples(samples: &Samples, len: u64) {
    for number in (0..samples.count()).take(MOST as usize) {
        let sample = samples.sample(number).expect("it is counted");
        assert!(sample.offset.checked_add(sample.size.into()).is_some_and(|end| end <= len));
        assert!((1..=samples.count() - number).contains(&samples.alike(number)));
        assert!(samples.decoded_by(sample.decoded_at).is_some());
        assert!(samples.sync_by(sample.shown_at).is_none_or(|sync| sync < samples.count()));
        assert!(samples.next_sync(number).is_none_or(|sync| sync > number && sync < samples.count()));
    }
    assert_eq!(samples.sample(samples.count()), None);
}
