//! What the sequence parameter sets of H.264 (ISO/IEC 14496-10 section 7.3.2.1) and H.265 (ISO/IEC 23008-2 section 7.3.2.2) say of
//! the pictures, as far as a file has to say it too.

use super::super::random_access::units::{Codec, unescaped};
use super::bits::Bits;

/// Of a sequence of pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Shape {
    pub width: u16,
    pub height: u16,
    pub chroma_format: u8,
    pub luma_bits: u8,
    pub chroma_bits: u8,
    /// At most so many pictures are decoded before one that is shown earlier.
    pub reorder: usize,
    /// Profile, tier and level of H.265, as they are in the set.
    pub profile: [u8; 12],
    /// Temporal layers of H.265, and whether they are nested.
    pub layers: (u8, bool),
}

/// Profiles of H.264 whose sets say what the samples are.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Where an H.264 set does not say how far pictures are reordered, it is taken for so much at most.
const LIKELY_REORDER: usize = 4;
/// No level has more.
const MOST_REORDER: usize = 16;

impl Shape {
    /// Reads a set, its header included. `None`: it is none, or of pictures that no file can hold.
    pub fn read(codec: Codec, set: &[u8]) -> Option<Self> {
        let bytes: Vec<u8> = unescaped(set).collect();
        match codec {
            Codec::H264 => h264(&bytes),
            Codec::H265 => h265(&bytes),
            Codec::Mpeg2 => None,
        }
        .filter(|shape| shape.width > 0 && shape.height > 0 && shape.chroma_format < 4)
    }
}

/// Width or height without what is cut off at both ends.
fn cropped(size: u32, cut: [u32; 2], unit: u32) -> Option<u16> {
    let cut = cut[0].checked_add(cut[1])?.checked_mul(unit)?;
    u16::try_from(size.checked_sub(cut)?).ok()
}

fn bit_depth(bits: &mut Bits<'_>) -> Option<u8> {
    u8::try_from(bits.counted()?).ok().filter(|more| *more < 8).map(|more| more + 8)
}

/// How much is cut off: left, right, top, bottom.
fn window(bits: &mut Bits<'_>) -> Option<[u32; 4]> {
    if !bits.flag()? {
        return Some([0; 4]);
    }
    Some([bits.counted()?, bits.counted()?, bits.counted()?, bits.counted()?])
}

fn h264(bytes: &[u8]) -> Option<Shape> {
    let [_, profile, _, _, rest @ ..] = bytes else { return None };
    let mut bits = Bits::of(rest);
    bits.counted()?;
    let (mut chroma_format, mut luma_bits, mut chroma_bits, mut planes) = (1, 8, 8, false);
    if HIGH_PROFILES.contains(profile) {
        chroma_format = bits.counted()?;
        planes = chroma_format == 3 && bits.flag()?;
        (luma_bits, chroma_bits) = (bit_depth(&mut bits)?, bit_depth(&mut bits)?);
        bits.skip(1)?;
        if bits.flag()? {
            let lists = if chroma_format == 3 { 12 } else { 8 };
            (0..lists).try_for_each(|list| scaling_list(&mut bits, if list < 6 { 16 } else { 64 }))?;
        }
    }
    bits.counted()?;
    let order_type = bits.counted()?;
    match order_type {
        0 => bits.pass(1)?,
        1 => {
            bits.skip(1)?;
            bits.pass(2)?;
            let cycle = bits.counted().filter(|cycle| *cycle < 256)?;
            bits.pass(cycle)?;
        }
        _ => {}
    }
    let references = bits.counted()? as usize;
    bits.skip(1)?;
    let (wide, high) = (bits.counted()?.checked_add(1)?, bits.counted()?.checked_add(1)?);
    let are_frames = bits.flag()?;
    bits.skip(if are_frames { 1 } else { 2 })?;
    let [left, right, top, bottom] = window(&mut bits)?;
    let fields = if are_frames { 1 } else { 2 };
    let (across, down) = match chroma_format {
        1 if !planes => (2, 2),
        2 if !planes => (2, 1),
        _ => (1, 1),
    };
    let is_in_order = order_type == 2 || *profile == 66;
    let likely = if is_in_order { 0 } else { references.min(LIKELY_REORDER) };
    let told = if bits.flag()? { h264_reorder(&mut bits) } else { None };
    Some(Shape {
        width: cropped(wide.checked_mul(16)?, [left, right], across)?,
        height: cropped(high.checked_mul(16 * fields)?, [top, bottom], down * fields)?,
        chroma_format: u8::try_from(chroma_format).ok()?,
        luma_bits,
        chroma_bits,
        reorder: told.unwrap_or(likely).min(MOST_REORDER),
        profile: [0; 12],
        layers: (1, true),
    })
}

fn scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    if !bits.flag()? {
        return Some(());
    }
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// max_num_reorder_frames, near the end of the usability information (annex E). `None`: it is not said.
fn h264_reorder(bits: &mut Bits<'_>) -> Option<usize> {
    if bits.flag()? && bits.number(8)? == 255 {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?;
    }
    if bits.flag()? {
        bits.skip(4)?;
        if bits.flag()? {
            bits.skip(24)?;
        }
    }
    if bits.flag()? {
        bits.pass(2)?;
    }
    if bits.flag()? {
        bits.skip(65)?;
    }
    let mut has_buffer = false;
    for _ in 0..2 {
        if bits.flag()? {
            has_buffer = true;
            let schedules = bits.counted().filter(|more| *more < 32)? + 1;
            bits.skip(8)?;
            for _ in 0..schedules {
                bits.pass(2)?;
                bits.skip(1)?;
            }
            bits.skip(20)?;
        }
    }
    bits.skip(if has_buffer { 2 } else { 1 })?;
    if !bits.flag()? {
        return None;
    }
    bits.skip(1)?;
    bits.pass(4)?;
    bits.counted().map(|frames| frames as usize)
}

fn h265(bytes: &[u8]) -> Option<Shape> {
    let profile: [u8; 12] = *bytes.get(3..)?.first_chunk()?;
    let mut bits = Bits::of(bytes.get(2..)?);
    bits.skip(4)?;
    let (more_layers, is_nested) = (bits.number(3)?, bits.flag()?);
    bits.skip(96)?;
    let of_layers: Vec<_> =
        (0..more_layers).map(|_| Some((bits.flag()?, bits.flag()?))).collect::<Option<_>>()?;
    bits.skip(if more_layers > 0 { 2 * (8 - more_layers as usize) } else { 0 })?;
    for (has_profile, has_level) in of_layers {
        bits.skip(usize::from(has_profile) * 88 + usize::from(has_level) * 8)?;
    }
    bits.counted()?;
    let chroma_format = bits.counted()?;
    let planes = chroma_format == 3 && bits.flag()?;
    let (wide, high) = (bits.counted()?, bits.counted()?);
    let [left, right, top, bottom] = window(&mut bits)?;
    let (across, down) = match chroma_format {
        1 if !planes => (2, 2),
        2 if !planes => (2, 1),
        _ => (1, 1),
    };
    let (luma_bits, chroma_bits) = (bit_depth(&mut bits)?, bit_depth(&mut bits)?);
    bits.counted()?;
    let told = if bits.flag()? { more_layers + 1 } else { 1 };
    let mut reorder = 0;
    for _ in 0..told {
        bits.counted()?;
        reorder = bits.counted()? as usize;
        bits.counted()?;
    }
    Some(Shape {
        width: cropped(wide, [left, right], across)?,
        height: cropped(high, [top, bottom], down)?,
        chroma_format: u8::try_from(chroma_format).ok()?,
        luma_bits,
        chroma_bits,
        reorder: reorder.min(MOST_REORDER),
        profile,
        layers: (more_layers as u8 + 1, is_nested),
    })
}
