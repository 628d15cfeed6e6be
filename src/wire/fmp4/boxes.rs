//! The boxes of fragmented MP4 (ISO/IEC 14496-12 section 8.8): what a film begins with, and its fragments.

use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec as Entry, Dinf, Dref, DrefEntry, Encode, Ftyp, Hdlr, Hvc1, HvcCArray,
    Hvcc, Mdat, Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stsd, Tfdt, Tfhd, Tkhd,
    Traf, Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd, esds,
};

use super::super::random_access::units::Codec;
use super::sets::VideoConfig;
use super::sound_config::SoundConfig;

/// The numbers of the tracks.
pub(super) const PICTURE: u32 = 1;
pub(super) const SOUND: u32 = 2;

/// The header of the box that media is in.
const MDAT_HEADER_LEN: usize = 8;
/// A decoder can start with a sample, or needs others (ISO/IEC 14496-12 section 8.8.3.1).
const STANDS_ALONE: u32 = 0x0200_0000;
const NEEDS_OTHERS: u32 = 0x0101_0000;

/// A picture or a frame of sound, as a fragment has it.
#[derive(Debug)]
pub(super) struct Sample {
    /// When it is decoded, in ticks from the film's beginning.
    pub at: u64,
    pub lasts: u32,
    /// How much later it is shown.
    pub offset: i32,
    pub is_start: bool,
    pub data: Vec<u8>,
}

/// What a film begins with: each with the ticks of a second. `None`: that can not be said in a file.
pub(super) fn beginning(
    picture: Option<(&VideoConfig, u32)>,
    sound: Option<(&SoundConfig, u32)>,
) -> Option<Vec<u8>> {
    let brands = [*b"iso6", *b"mp41"].map(Into::into).to_vec();
    let ftyp = Ftyp { major_brand: (*b"iso6").into(), minor_version: 0, compatible_brands: brands };
    let picture = picture.map(|(config, rate)| picture_track(config, rate));
    let sound = sound.map(|(config, rate)| sound_track(config, rate));
    let trak: Vec<_> = picture.into_iter().chain(sound).collect();
    let extended = trak.iter().map(|track| Trex {
        track_id: track.tkhd.track_id,
        default_sample_description_index: 1,
        ..Trex::default()
    });
    let mvex = Some(Mvex { mehd: None, trex: extended.collect() });
    let mvhd = Mvhd {
        creation_time: 0,
        modification_time: 0,
        timescale: 1000,
        duration: 0,
        rate: 1.into(),
        volume: 1.into(),
        matrix: Default::default(),
        next_track_id: SOUND + 1,
    };
    let moov = Moov { mvhd, mvex, trak, ..Moov::default() };
    let mut bytes = Vec::new();
    ftyp.encode(&mut bytes).ok()?;
    moov.encode(&mut bytes).ok()?;
    Some(bytes)
}

fn picture_track(config: &VideoConfig, rate: u32) -> Trak {
    let (width, height) = (config.shape.width, config.shape.height);
    let visual = Visual { data_reference_index: 1, width, height, ..Visual::default() };
    let entry = match config.codec {
        Codec::H265 => Entry::Hvc1(Hvc1 { visual, hvcc: hvcc(config), ..Hvc1::default() }),
        _ => Entry::Avc1(Avc1 { visual, avcc: avcc(config), ..Avc1::default() }),
    };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..described(entry) };
    let mut track = track(PICTURE, rate, *b"vide", minf);
    (track.tkhd.width, track.tkhd.height) = (width.into(), height.into());
    track
}

fn sound_track(config: &SoundConfig, rate: u32) -> Trak {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: config.channels.into(),
        sample_size: 16,
        sample_rate: u16::try_from(config.rate).unwrap_or(0).into(),
    };
    let dec_specific = esds::DecoderSpecific { raw: config.bytes.clone(), ..Default::default() };
    let dec_config = esds::DecoderConfig {
        object_type_indication: 0x40,
        stream_type: 5,
        dec_specific: Some(dec_specific),
        ..Default::default()
    };
    let es_desc = esds::EsDescriptor { es_id: SOUND as u16, dec_config, ..Default::default() };
    let entry = Entry::Mp4a(Mp4a { audio, esds: mp4_atom::Esds { es_desc }, btrt: None, taic: None });
    let minf = Minf { smhd: Some(Smhd::default()), ..described(entry) };
    let mut track = track(SOUND, rate, *b"soun", minf);
    track.tkhd.volume = 1.into();
    track
}

fn track(track_id: u32, timescale: u32, handler: [u8; 4], minf: Minf) -> Trak {
    let tkhd = Tkhd { track_id, enabled: true, in_movie: true, ..Tkhd::default() };
    let mdhd = Mdhd { timescale, language: "und".to_owned(), ..Mdhd::default() };
    let hdlr = Hdlr { handler: handler.into(), name: String::new() };
    Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() }
}

/// All media is in the file itself.
fn described(entry: Entry) -> Minf {
    let here = DrefEntry::Url(Url { location: String::new() });
    let stbl = Stbl { stsd: Stsd { codecs: vec![entry] }, stco: Some(Default::default()), ..Stbl::default() };
    Minf { dinf: Dinf { dref: Dref { entries: vec![here] } }, stbl, ..Minf::default() }
}

fn avcc(config: &VideoConfig) -> Avcc {
    let [_, sequences, pictures] = &config.sets;
    let about = |place: usize| sequences.first().and_then(|set| set.get(place)).copied().unwrap_or_default();
    let is_high = !matches!(about(1), 66 | 77 | 88);
    let ext = AvccExt {
        chroma_format: config.shape.chroma_format,
        bit_depth_luma: config.shape.luma_bits,
        bit_depth_chroma: config.shape.chroma_bits,
        sequence_parameter_sets_ext: vec![],
    };
    Avcc {
        configuration_version: 1,
        avc_profile_indication: about(1),
        profile_compatibility: about(2),
        avc_level_indication: about(3),
        length_size: 4,
        sequence_parameter_sets: sequences.clone(),
        picture_parameter_sets: pictures.clone(),
        ext: is_high.then_some(ext),
    }
}

fn hvcc(config: &VideoConfig) -> Hvcc {
    let shape = &config.shape;
    let [first, a, b, c, d, constraints @ .., level] = shape.profile;
    let sets = (32..).zip(&config.sets);
    let array = |(kind, nalus): (u8, &Vec<Vec<u8>>)| HvcCArray {
        completeness: true,
        nal_unit_type: kind,
        nalus: nalus.clone(),
    };
    Hvcc {
        general_profile_space: first >> 6,
        general_tier_flag: first & 0x20 != 0,
        general_profile_idc: first & 0x1f,
        general_profile_compatibility_flags: [a, b, c, d],
        general_constraint_indicator_flags: constraints,
        general_level_idc: level,
        chroma_format_idc: shape.chroma_format,
        bit_depth_luma_minus8: shape.luma_bits - 8,
        bit_depth_chroma_minus8: shape.chroma_bits - 8,
        num_temporal_layers: shape.layers.0,
        temporal_id_nested: shape.layers.1,
        length_size_minus_one: 3,
        arrays: sets.map(array).collect(),
        ..Hvcc::new()
    }
}

/// A fragment of these samples by track, and how they follow each other. `None`: that can not be said in a file.
pub(super) fn fragment(sequence_number: u32, tracks: &[(u32, Vec<Sample>)]) -> Option<Vec<u8>> {
    let tracks = || tracks.iter().filter(|(_, samples)| !samples.is_empty());
    let moof = |before: usize| {
        let mut place = before + MDAT_HEADER_LEN;
        let traf = tracks().map(|(track_id, samples)| {
            let here = i32::try_from(place).ok()?;
            place += samples.iter().map(|sample| sample.data.len()).sum::<usize>();
            Some(run(*track_id, here, samples))
        });
        let traf = traf.collect::<Option<_>>()?;
        Some(Moof { mfhd: Mfhd { sequence_number }, traf })
    };
    // How long it is does not depend on where the media is that it points to.
    let mut bytes = Vec::new();
    moof(0)?.encode(&mut bytes).ok()?;
    let length = bytes.len();
    bytes.clear();
    moof(length)?.encode(&mut bytes).ok()?;
    let samples = tracks().flat_map(|(_, samples)| samples);
    let data = samples.flat_map(|sample| [sample.data.as_slice()]).collect::<Vec<_>>().concat();
    Mdat { data }.encode(&mut bytes).ok()?;
    Some(bytes)
}

fn run(track_id: u32, data_offset: i32, samples: &[Sample]) -> Traf {
    let entry = |sample: &Sample| TrunEntry {
        duration: Some(sample.lasts),
        size: u32::try_from(sample.data.len()).ok(),
        flags: Some(if sample.is_start { STANDS_ALONE } else { NEEDS_OTHERS }),
        cts: Some(sample.offset.into()),
    };
    let entries: Vec<_> = samples.iter().map(entry).collect();
    let at = samples.first().map_or(0, |first| first.at);
    Traf {
        tfhd: Tfhd { track_id, default_base_is_moof: true, ..Tfhd::default() },
        tfdt: Some(Tfdt { base_media_decode_time: at }),
        trun: vec![Trun { data_offset: Some(data_offset), samples: entries.into() }],
        ..Traf::default()
    }
}
