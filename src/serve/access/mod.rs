//! Who asks for what: what each client address holds, and whose turn it is.

mod addresses;
mod guesses;
mod turns;

pub use crate::net::counted_as;
pub use addresses::{Account, Addresses, Beyond, Good, PerAddress, Share};
