//! What is watched over: whether it moves, and what is to be done where it does not.

use crate::event::Standstill;

/// A program whose parts move.
pub trait Vital: Send + Sync + 'static {
    /// Whether every part of the program moves.
    ///
    /// # Errors
    /// What stands still.
    fn live(&self) -> Result<(), Standstill>;

    /// A part has failed for good.
    fn give_up(&self, reason: &str);
}
