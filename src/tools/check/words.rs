//! How a plan says where from, and where.

use ipnet::IpNet;

use crate::ops::config::Interface;
use crate::serve::Networks;

/// From where somebody may watch, behind what was said of who.
pub fn from_where(Networks { allow, deny }: &Networks) -> String {
    let list = |networks: &[IpNet]| networks.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ");
    let allowed = allow.as_ref().map(|allow| format!(", from {}", list(allow))).unwrap_or_default();
    let denied = if deny.is_empty() { String::new() } else { format!(", not from {}", list(deny)) };
    allowed + &denied
}

/// An interface, as it was named.
pub fn named(interface: Option<&Interface>) -> String {
    interface.map_or("the route's interface".into(), ToString::to_string)
}
