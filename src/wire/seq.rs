//! Sequence numbers of 16 bits, compared across their wrap (RFC 3550 section 5.1, RFC 1982).
//!
//! Knows nothing of packets: only how far one number lies from another.

/// How far `to` lies ahead of `from` (positive) or behind it (negative), on the shorter way around.
///
/// Exactly half the circle apart is neither way the shorter one; it counts as behind (`i16::MIN`).
#[inline]
#[must_use]
pub const fn distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from) as i16
}

/// Whether `candidate` comes after `reference`. Two numbers half the circle apart are after neither.
#[inline]
#[must_use]
pub const fn is_newer(candidate: u16, reference: u16) -> bool {
    distance(reference, candidate) > 0
}

/// How many steps forward lead from `from` to `to`, past the wrap if need be.
#[inline]
#[must_use]
pub const fn steps(from: u16, to: u16) -> u16 {
    to.wrapping_sub(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_survives_the_wrap() {
        assert_eq!(distance(0xffff, 0), 1);
        assert_eq!(distance(0, 0xffff), -1);
        assert_eq!(distance(7, 7), 0);
        assert!(is_newer(3, 0xfff0));
        assert!(!is_newer(0xfff0, 3));
        assert_eq!(steps(0xfffe, 1), 3);
    }

    #[test]
    fn half_the_circle_is_newer_in_neither_direction() {
        assert!(!is_newer(0x8000, 0));
        assert!(!is_newer(0, 0x8000));
    }

    proptest! {
        #[test]
        fn never_both_newer(a: u16, b: u16) {
            prop_assert!(!(is_newer(a, b) && is_newer(b, a)));
        }

        #[test]
        fn the_distance_leads_there(a: u16, b: u16) {
            prop_assert_eq!(a.wrapping_add_signed(distance(a, b)), b);
        }
    }
}
