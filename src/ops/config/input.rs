//! What a channel is made of, as its keys say.

use std::path::PathBuf;

use crate::storage::FileSource;
use crate::wire::sdp::Presentation;

use super::truth_channel::{Interface, Origin};

/// What a channel's `source`, `sources` or `sdp` says.
pub(super) struct Input {
    pub(super) text: String,
    /// The file of a session description.
    pub(super) file: Option<PathBuf>,
    /// The interface that each source names.
    pub(super) interfaces: Vec<Option<Interface>>,
    pub(super) presentation: Presentation,
    pub(super) origin: Origin,
    /// The last of several sources, where it is a file.
    pub(super) standby: Option<FileSource>,
}

impl Input {
    /// One that is sent to groups.
    pub(super) fn new(text: String, presentation: Presentation) -> Self {
        let (file, interfaces) = (None, Vec::new());
        Self { text, file, interfaces, presentation, origin: Origin::Groups, standby: None }
    }
}
