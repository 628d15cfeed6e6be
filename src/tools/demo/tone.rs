//! The tone: a soft steady 440 Hz, and a 1 kHz blip as each second begins, for a check of picture against sound.
//! A pure function of the sample's number; both tones fit a second in whole cycles, so no second begins with a click.

use std::f32::consts::TAU;

/// Samples a second, one channel.
pub const SAMPLE_RATE: u64 = 48_000;
/// Samples of the blip: 120 ms, as long as the picture's flash.
const BLIP: u64 = SAMPLE_RATE * 120 / 1000;
/// Samples over which the blip swells and fades: 5 ms.
const RAMP: u64 = SAMPLE_RATE * 5 / 1000;
/// Amplitudes, where 1.0 is full scale: -28 dBFS and -14 dBFS.
const STEADY_AMPLITUDE: f32 = 0.04;
const BLIP_AMPLITUDE: f32 = 0.2;

/// The sample with the given number, counted from 1970-01-01 00:00:00 UTC.
pub fn sample(sample_utc: u64) -> i16 {
    let place = sample_utc % SAMPLE_RATE;
    let level =
        STEADY_AMPLITUDE * sine(440, place) + BLIP_AMPLITUDE * blip_envelope(place) * sine(1000, place);
    (level * f32::from(i16::MAX)) as i16
}

/// The phase is reduced in integers first, so that it is as exact late in the second as early.
fn sine(frequency_hz: u64, place: u64) -> f32 {
    (TAU * (frequency_hz * place % SAMPLE_RATE) as f32 / SAMPLE_RATE as f32).sin()
}

/// 0 to 1: a raised cosine up, a plateau, a raised cosine down, then silence.
fn blip_envelope(place: u64) -> f32 {
    let from_edge = place.min(BLIP.saturating_sub(place)).min(RAMP);
    0.5 - 0.5 * (TAU / 2.0 * from_edge as f32 / RAMP as f32).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_neighbouring_samples_are_a_click_apart() {
        let steepest = TAU * (440.0 * STEADY_AMPLITUDE + 1000.0 * BLIP_AMPLITUDE) / SAMPLE_RATE as f32;
        let limit = (steepest * f32::from(i16::MAX) * 1.05) as u16 + 2;
        for number in 0..2 * SAMPLE_RATE {
            assert!(sample(number).abs_diff(sample(number + 1)) <= limit, "a click at {number}");
        }
    }

    #[test]
    fn the_blip_is_heard_as_the_second_begins_and_not_later() {
        let peak = |range: std::ops::Range<u64>| range.map(|number| sample(number).unsigned_abs()).max();
        assert!(peak(RAMP..BLIP - RAMP) > Some(6000));
        assert!(peak(BLIP..SAMPLE_RATE) < Some(1400));
        assert!(peak(BLIP..SAMPLE_RATE) > Some(1200));
    }

    #[test]
    fn every_second_sounds_the_same() {
        let late = 1_700_000_000 * SAMPLE_RATE;
        assert!((0..SAMPLE_RATE).all(|place| sample(place) == sample(late + place)));
    }
}
