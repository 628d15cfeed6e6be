//! What a channel is made of, as its keys say.

use std::path::PathBuf;

use crate::ingest::pull::Pull;
use crate::wire::sdp::Presentation;

use super::truth::Interface;

/// What a channel's `source`, `sources` or `sdp` says.
pub(super) struct Input {
    pub(super) text: String,
    /// The file of a session description.
    pub(super) file: Option<PathBuf>,
    /// The interface that each source names.
    pub(super) interfaces: Vec<Option<Interface>>,
    pub(super) presentation: Presentation,
    pub(super) pull: Option<Pull>,
}
