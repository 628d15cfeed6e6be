//! Numbers of so many bits, one behind the other, and the ones that tell their own length (ISO/IEC 14496-10 section 9.1).

/// A place in bytes, to the bit.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many were read.
    pub fn read(&self) -> usize {
        self.at
    }

    pub fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.at / 8)?;
        let flag = byte >> (7 - self.at % 8) & 1 != 0;
        self.at += 1;
        Some(flag)
    }

    /// A number of at most 32 bits.
    pub fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0_u32, |number, _| Some(number << 1 | u32::from(self.flag()?)))
    }

    pub fn skip(&mut self, bits: usize) -> Option<()> {
        self.at += bits;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// ue(v).
    pub fn counted(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1_u64 << zeros) - 1) as u32 + self.number(zeros)?)
    }

    /// se(v).
    pub fn signed(&mut self) -> Option<i64> {
        let counted = i64::from(self.counted()?);
        Some(if counted % 2 == 0 { -(counted / 2) } else { counted / 2 + 1 })
    }

    /// So many of ue(v).
    pub fn pass(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.counted().map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_to_the_bit() {
        let mut bits = Bits::of(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        // 1, 010, 011, 00100, 00101
        let counted: Vec<_> = (0..5).map(|_| bits.counted()).collect();
        assert_eq!(counted, [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(bits.read(), 17);
        assert_eq!((bits.number(7), bits.flag(), bits.skip(1)), (Some(0), None, None));
        let mut signed = Bits::of(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!((0..5).map(|_| signed.signed()).collect::<Vec<_>>(), [0, 1, -1, 2, -2].map(Some));
        assert_eq!(Bits::of(&[0; 8]).counted(), None, "it has no end");
    }
}
