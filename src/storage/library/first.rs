//! How a track of a film begins.

/// By what its packets are known, and what the first of them has: at random (RFC 3550 section 5.1), as some clients take a 0 for unknown.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
}

impl First {
    pub fn at_random() -> Self {
        let random = || getrandom::u32().unwrap_or(1);
        Self { ssrc: random(), sequence: random() as u16, timestamp: random() }
    }
}
