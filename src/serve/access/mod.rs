//! Who asks for what: what each client address holds, and whose turn it is.

mod addresses;
mod guesses;
mod turns;

pub use addresses::{Account, Addresses, Beyond, Good, PerAddress, Share, counted_as};
