//! How fast PLAY is to be: the headers Scale, which is how fast the time of what is played goes, and Speed, which is how fast it comes (RFC 2326
//! sections 12.34 and 12.35).

/// There are these scales, backwards too, and 1.
const SCALES: [i8; 4] = [2, 4, 8, 16];
/// Speeds that there are, in per cent.
const SPEEDS: [u32; 2] = [50, 400];

/// Scale, as it can be had: the nearest of 1, ±2, ±4, ±8 and ±16. `None`: it says nothing that is one.
#[must_use]
pub fn scale(header: Option<&str>) -> Option<i8> {
    let asked = number(header)?;
    let all = [1].into_iter().chain(SCALES).chain(SCALES.map(|scale| -scale));
    let of_its_sign = all.filter(|scale| (asked < 0.0) == (*scale < 0));
    of_its_sign
        .min_by(|one, other| (asked - f64::from(*one)).abs().total_cmp(&(asked - f64::from(*other)).abs()))
}

/// Speed, in per cent of how fast it came, within bounds. `None`: it says nothing that is one.
#[must_use]
pub fn speed_percent(header: Option<&str>) -> Option<u32> {
    let asked = number(header).filter(|asked| *asked >= 0.0)?;
    let [least, most] = SPEEDS;
    Some(((asked * 100.0).round() as u32).clamp(least, most))
}

/// A speed, as a reply has it.
#[must_use]
pub fn speed(percent: u32) -> String {
    (f64::from(percent) / 100.0).to_string()
}

fn number(header: Option<&str>) -> Option<f64> {
    header?.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nearest_scale_is_the_one() {
        for (header, is) in [
            ("1", Some(1)),
            ("1.0", Some(1)),
            (" 2.0 ", Some(2)),
            ("3.5", Some(4)),
            ("100", Some(16)),
            ("0.5", Some(1)),
            ("0", Some(1)),
            ("-1", Some(-2)),
            ("-5", Some(-4)),
            ("-1e9", Some(-16)),
            ("fast", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(scale(Some(header)), is, "{header}");
        }
        assert_eq!(scale(None), None);
    }

    #[test]
    fn a_speed_is_within_bounds() {
        let percents = ["1", "1.5", "0.1", "1e30", "-2", "x"].map(|header| speed_percent(Some(header)));
        assert_eq!(percents, [Some(100), Some(150), Some(50), Some(400), None, None]);
        assert_eq!([100, 150, 50, 400].map(speed), ["1", "1.5", "0.5", "4"]);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(header in any::<String>()) {
            let _ = (scale(Some(&header)), speed_percent(Some(&header)));
        }
    }
}
