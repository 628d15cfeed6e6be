//! Fields of boxes that are read here: big-endian numbers, one behind the other.

/// What is left of a box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'b>(pub &'b [u8]);

impl<'b> Fields<'b> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number that may be below 0.
    pub(super) fn signed(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// As many words as a box says that it has, each of `N`: those that are there.
    pub(super) fn rows<const N: usize>(self, count: u32) -> impl Iterator<Item = [u32; N]> + 'b {
        let (words, _) = self.0.as_chunks::<4>();
        let (rows, _) = words.as_chunks::<N>();
        rows.iter().take(count as usize).map(|row| row.map(u32::from_be_bytes))
    }
}
