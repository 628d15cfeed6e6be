//! Files made here, box by box: what ffmpeg does not write, what is wrong, and what is cut off.

use proptest::prelude::*;

use super::film::Film;
use super::samples::Sample;
use super::{Coding, FilmTrack, Kind, NoFilm, Pcm};

type Bytes = Vec<u8>;

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Bytes {
    let body = parts.concat();
    [&(body.len() as u32 + 8).to_be_bytes(), kind.as_slice(), &body].concat()
}

fn words(words: &[u32]) -> Bytes {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A box of version and flags, and words.
fn table(kind: &[u8; 4], fields: &[u32]) -> Bytes {
    boxed(kind, &[&[0; 4], &words(fields)])
}

fn mvhd() -> Bytes {
    table(b"mvhd", &[&[0, 0, 1000, 0], &[0; 20][..], &[2]].concat())
}

/// A track of one number, of 1000 ticks a second.
fn trak(id: u32, entry: &[u8], more: &[&[u8]], tables: &[&[u8]]) -> Bytes {
    let tkhd = table(b"tkhd", &[&[0, 0, id], &[0; 17][..]].concat());
    let mdhd = table(b"mdhd", &[0, 0, 1000, 0, 0]);
    let stsd = boxed(b"stsd", &[&words(&[0, 1]), entry]);
    let stbl = boxed(b"stbl", &[&stsd, &tables.concat()]);
    let minf = boxed(b"minf", &[&more.concat(), &stbl]);
    boxed(b"trak", &[&tkhd, &boxed(b"mdia", &[&mdhd, &minf])])
}

fn avc1() -> Bytes {
    let avcc = boxed(b"avcC", &[&[1, 66, 0, 30, 0xFF, 0xE1, 0, 2, 0x67, 1, 1, 0, 2, 0x68, 2]]);
    boxed(b"avc1", &[&[0, 0, 0, 0, 0, 0, 0, 1], &[0; 70], &avcc])
}

/// Of QuickTime: 16 bits and two channels at 8 kHz, of version 1.
fn sowt(bits: u16) -> Bytes {
    let head = [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
    let rest = [&bits.to_be_bytes()[..], &[0; 4], &(8000_u32 << 16).to_be_bytes(), &[0; 16]].concat();
    boxed(b"sowt", &[&head, &rest])
}

/// Five pictures in two chunks, the first and the fourth of which stand alone; the media lies behind.
fn pictures() -> Bytes {
    let tables = |first: u32| {
        [
            table(b"stts", &[2, 3, 40, 2, 20]),
            table(b"ctts", &[3, 1, 40, 1, 80, 3, 20_u32.wrapping_neg()]),
            table(b"stsc", &[2, 1, 3, 1, 2, 2, 1]),
            table(b"stsz", &[0, 5, 10, 20, 30, 40, 50]),
            table(b"stco", &[2, first, first + 100]),
            table(b"stss", &[2, 1, 4]),
        ]
        .concat()
    };
    let moov = |first: u32| boxed(b"moov", &[&mvhd(), &trak(7, &avc1(), &[], &[&tables(first)])]);
    let len = moov(0).len() as u32;
    [moov(len + 8), boxed(b"mdat", &[&[0; 190]])].concat()
}

fn only(film: &Film) -> &FilmTrack {
    let [track] = film.tracks.as_slice() else { panic!("one track: {film:?}") };
    track
}

fn all(track: &FilmTrack) -> Vec<Sample> {
    (0..track.samples.count()).filter_map(|number| track.samples.sample(number)).collect()
}

#[test]
fn samples_are_found_by_their_tables() {
    let file = pictures();
    let film = Film::read(file.as_slice()).expect("a film");
    let track = only(&film);
    assert_eq!(track.id, 7);
    let expected = Coding::H264 { length_size: 4, sps: vec![vec![0x67, 1]], pps: vec![vec![0x68, 2]] };
    assert_eq!(track.coding, expected);
    let media = file.len() as u64 - 190;
    let seen: Vec<_> = all(track)
        .iter()
        .map(|sample| {
            (sample.offset - media, sample.size, sample.decoded_at, sample.shown_at, sample.is_sync)
        })
        .collect();
    let expected = [
        (0, 10, 0, 40, true),
        (10, 20, 40, 120, false),
        (30, 30, 80, 60, false),
        (100, 40, 120, 100, true),
        (140, 50, 140, 120, false),
    ];
    assert_eq!(seen, expected);
    assert_eq!(film.duration.as_millis(), 120);
    let samples = &track.samples;
    assert_eq!(
        [-1, 0, 79, 80, 1000].map(|at| samples.decoded_by(at)),
        [None, Some(0), Some(1), Some(2), Some(4)]
    );
    assert_eq!([39, 40, 99, 100].map(|at| samples.sync_by(at)), [None, Some(0), Some(0), Some(3)]);
    assert_eq!([0, 2, 3, 9].map(|number| samples.next_sync(number)), [Some(3), Some(3), None, None]);
}

#[test]
fn of_a_file_that_is_cut_off_samples_that_are_whole_are_played() {
    let file = pictures();
    let count =
        |missing: usize| Film::read(&file[..file.len() - missing]).map(|film| only(&film).samples.count());
    assert_eq!([0, 1, 51, 90, 131].map(|missing| count(missing).expect("a film")), [5, 4, 3, 3, 2]);
    let error = count(250).expect_err("there is no moov");
    assert_eq!(error.to_string(), "its box `moov` at byte 0 is cut off");
}

#[test]
fn a_day_of_sound_as_it_is_is_a_few_numbers() {
    let count = 86_400 * 8000;
    let tables = [
        table(b"stts", &[1, count, 1]),
        table(b"stsc", &[1, 1, count, 1]),
        // QuickTime says that a moment is one byte.
        table(b"stsz", &[1, count]),
        table(b"co64", &[1, 0, 1000]),
    ]
    .concat();
    let moov = boxed(b"moov", &[&mvhd(), &trak(1, &sowt(16), &[], &[&tables])]);
    let film = Film::read(&Long { beginning: moov, len: 1 << 40 }).expect("a film");
    let track = only(&film);
    assert_eq!(track.coding, Coding::Pcm(Pcm::Little16));
    assert_eq!(track.samples.count(), count);
    let noon = track.samples.sample(count / 2).expect("noon");
    assert_eq!(
        (noon.offset, noon.size, noon.decoded_at),
        (1000 + 2 * u64::from(count), 4, i64::from(count / 2))
    );
    assert_eq!(track.samples.alike(count / 2), count / 2);
}

/// A file of which the rest is nothing.
struct Long {
    beginning: Bytes,
    len: u64,
}

impl super::ReadAt for Long {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let rest = self.beginning.get(offset as usize..).unwrap_or_default();
        into.fill(0);
        let both = into.iter_mut().zip(rest);
        both.for_each(|(into, from)| *into = *from);
        Ok(())
    }
}

#[test]
fn what_is_not_played_says_why() {
    let why = |entry: Bytes, more: &[&[u8]]| {
        let moov = boxed(b"moov", &[&mvhd(), &trak(1, &entry, more, &[])]);
        let film = Film::read(moov.as_slice()).expect("a film");
        let Coding::Unsupported { kind, why } = only(&film).coding else { panic!("{film:?}") };
        (kind, why)
    };
    let entry = |kind: &[u8; 4]| boxed(kind, &[&[0, 0, 0, 0, 0, 0, 0, 1], &[0; 90]]);
    assert_eq!(why(entry(b"encv"), &[]), (Kind(*b"encv"), "it is encrypted"));
    assert_eq!(why(entry(b"tx3g"), &[]), (Kind(*b"tx3g"), "nothing plays this"));
    assert_eq!(why(entry(b"avc1"), &[]).1, "nothing tells how it is to be decoded");
    assert_eq!(why(sowt(8), &[]).1, "sound of other than 16 bits is not played");
    let elsewhere = boxed(b"dref", &[&words(&[0, 1]), &table(b"url ", &[])]);
    assert_eq!(why(avc1(), &[&boxed(b"dinf", &[&elsewhere])]).1, "its media is in another file");
}

/// A film of two fragments of two pictures each, and then of a time that begins anew.
fn fragments() -> Bytes {
    let empty: Vec<_> = [b"stts", b"stsc", b"stco"].iter().flat_map(|kind| table(kind, &[0])).collect();
    let trak = trak(7, &avc1(), &[], &[&empty, &table(b"stsz", &[0, 0])]);
    let mvex = boxed(b"mvex", &[&table(b"trex", &[7, 1, 40, 5, 0x1_0000])]);
    let moov = boxed(b"moov", &[&mvhd(), &trak, &mvex]);
    let fragment = |at: u32| {
        let trun = |offset: u32| {
            // Where it begins, flags of the first one, and how long each is.
            boxed(b"trun", &[&[0, 0, 2, 5], &words(&[2, offset, 0x200_0000, 10, 20])])
        };
        let tfhd = boxed(b"tfhd", &[&[0, 2, 0, 0], &words(&[7])]);
        let moof =
            |offset: u32| boxed(b"moof", &[&boxed(b"traf", &[&tfhd, &table(b"tfdt", &[at]), &trun(offset)])]);
        let len = moof(0).len() as u32;
        [moof(len + 8), boxed(b"mdat", &[&[1; 30]])].concat()
    };
    [moov, fragment(1000), fragment(1080), fragment(0)].concat()
}

#[test]
fn samples_are_found_in_fragments() {
    let file = fragments();
    let film = Film::read(file.as_slice()).expect("a film");
    let samples = all(only(&film));
    let times: Vec<_> =
        samples.iter().map(|sample| (sample.decoded_at, sample.size, sample.is_sync)).collect();
    let expected = [1000, 1080, 1160].into_iter().flat_map(|at| [(at, 10, true), (at + 40, 20, false)]);
    assert_eq!(times, expected.collect::<Vec<_>>());
    let is_media = |sample: &Sample| {
        let at = sample.offset as usize;
        file[at..at + sample.size as usize].iter().all(|byte| *byte == 1)
    };
    assert!(samples.iter().all(is_media));
    assert_eq!((film.begins.as_millis(), film.duration.as_millis()), (1000, 240));
    let cut = |missing: usize| {
        Film::read(&file[..file.len() - missing]).map(|film| only(&film).samples.count()).expect("a film")
    };
    assert_eq!([0, 1, 20, 21, 30, 38, 60].map(cut), [6, 5, 5, 4, 4, 4, 4]);
    let with_rest = [&file[..], &[0; 20]].concat();
    assert_eq!(only(&Film::read(with_rest.as_slice()).expect("a film")).samples.count(), 6);
}

#[test]
fn no_more_samples_are_kept_than_there_may_be() {
    let mut file = fragments();
    let trun = file.windows(4).position(|kind| kind == b"trun").expect("one");
    // A billion samples of nothing, of which no row is told.
    file[trun + 4..trun + 12].copy_from_slice(&words(&[1, 1 << 30]));
    let error = Film::read(file.as_slice()).expect_err("too many");
    assert!(matches!(error, NoFilm::Wrong { what: "has too many samples", .. }), "{error}");
}

#[test]
fn what_is_no_film_says_so() {
    let error = |file: &[u8]| Film::read(file).expect_err("no film").to_string();
    assert_eq!(error(&[]), "it has no box `moov`, which belongs to what begins at byte 0");
    assert_eq!(error(b"\0\0\0\x04moov"), "its box `moov` at byte 0 is shorter than its header");
    assert_eq!(error(&boxed(b"moov", &[&mvhd()])), "it has no tracks");
}

/// Looks at all that can be asked for.
fn expect_bounded(file: &[u8]) {
    let Ok(film) = Film::read(file) else { return };
    for track in &film.tracks {
        let samples = &track.samples;
        for number in (0..samples.count()).take(100) {
            let sample = samples.sample(number).expect("it is counted");
            assert!(sample.offset + u64::from(sample.size) <= file.len() as u64);
            assert!(samples.alike(number) >= 1);
            samples.decoded_by(sample.decoded_at).expect("it is one of them");
            let _ = (samples.sync_by(sample.shown_at), samples.next_sync(number));
        }
        assert_eq!(samples.sample(samples.count()), None);
    }
}

proptest! {
    #[test]
    fn whatever_is_changed_samples_stay_within_the_file(
        is_fragmented: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        len: prop::sample::Index,
        is_cut: bool,
    ) {
        let mut file = if is_fragmented { fragments() } else { pictures() };
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        file.truncate(if is_cut { len.index(file.len()) } else { file.len() });
        expect_bounded(&file);
    }

    #[test]
    fn whatever_bytes_are_no_panic(file in prop::collection::vec(any::<u8>(), 0..200)) {
        expect_bounded(&file);
        expect_bounded(&boxed(b"moov", &[&mvhd(), &trak(1, &file, &[], &[])]));
        expect_bounded(&boxed(b"moov", &[&mvhd(), &trak(1, &avc1(), &[], &[&file])]));
    }
}
