//! How fast what was kept is played.

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many per cent as fast as it came.
    Percent(u32),
    /// Pictures alone that a decoder can start with, so many times as fast as they came, backwards where that is negative; and so many per
    /// cent of what the stream takes at most.
    Scaled(i8, u32),
    /// As fast as it is taken.
    AsItIsTaken,
}

impl Pace {
    /// As it came.
    pub const AS_IT_CAME: Self = Self::Percent(100);
}
