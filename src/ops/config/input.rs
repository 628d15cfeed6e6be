//! What a channel is made of, as its keys say.

use crate::ingest::pull::Pull;
use crate::wire::sdp::Presentation;

use super::truth::Interface;

/// What a channel's `source`, `sources` or `sdp` says.
pub(super) struct Input {
    pub(super) text: String,
    /// The interface that each source names.
    pub(super) interfaces: Vec<Option<Interface>>,
    pub(super) presentation: Presentation,
    pub(super) pull: Option<Pull>,
}
