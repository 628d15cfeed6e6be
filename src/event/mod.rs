//! The event core: descriptors and tasks, no protocols.
