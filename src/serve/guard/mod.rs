//! Who may watch what, and from where: the one judgement that all requests are under, by whatever way they come.
//!
//! ```text
//!  a request ─▶ Access::judge ─▶ networks ─▶ failures ─▶ users ─▶ acquaintance ─▶ nonces ─▶ Verdict
//!                (when?)          address     waits       proof    connection     counts
//!
//!  the file of users ─▶ users_file, each second
//! ```
//!
//! It knows neither sockets nor sessions, and of requests what [`Asked`] says.

mod acquaintance;
mod failures;
mod judge;
mod lists;
mod networks;
mod nonces;
mod tallies;
mod users;
mod users_file;

#[cfg(test)]
mod tests;

pub use acquaintance::Acquaintance;
pub use failures::FailureLimits;
pub use judge::{Access, AccessConfig, Asked, DoorRules, OverHttp, Rule, Verdict, Who};
pub use networks::Networks;
pub use tallies::AccessStats;
pub use users::{Scope, User, Users, WrongLine, check_name};
pub use users_file::{UsersError, read_users, write_users};
