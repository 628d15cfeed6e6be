//! Moving: all viewers of one process are served by another from some moment on, without asking for anything.
//!
//! ```text
//!  before: connections, sessions, port pairs ─ pack ─▶ a Household and its descriptors ─ settle ─▶ the same, after
//! ```
//!
//! What goes to a viewer is the source's own numbering, so where one has stopped tells the other where to go on: behind the packet that
//! the viewer was sent last. The process before is to stand still from its `pack` on. What is said through TLS can not be moved, for
//! nobody but the process itself has its keys.

mod household;
mod packing;
mod settling;

pub use household::{Household, NotMoved, Removal};
