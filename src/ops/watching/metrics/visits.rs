//! Who is at the admin endpoint, and how many may be.

use super::families::Families;

/// As the endpoint itself says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Visits {
    /// Connections that are no streams.
    pub connections: usize,
    /// How many there may be.
    pub most_connections: usize,
    /// Times that one was closed which had asked for nothing, for one that came.
    pub made_way: u64,
    /// Pages that follow what goes on.
    pub pages: usize,
    /// How many may.
    pub most_pages: usize,
    /// Times that one was refused.
    pub pages_refused: u64,
    /// Until when its own certificate is valid, in seconds since 1970, if it has one.
    pub certificate_expires: Option<u64>,
}

pub(super) fn collect(visits: Visits, out: &mut Families) {
    let help = "Connections to the admin endpoint that are no streams.";
    out.gauge("mirrorball_admin_connections", help, &[], visits.connections as f64);
    let help = "How many there may be at a time.";
    out.gauge("mirrorball_admin_connection_limit", help, &[], visits.most_connections as f64);
    let help = "Pages that are told each second what goes on.";
    out.gauge("mirrorball_admin_pages", help, &[], visits.pages as f64);
    let help = "How many may be at a time.";
    out.gauge("mirrorball_admin_page_limit", help, &[], visits.most_pages as f64);
    if let Some(expires) = visits.certificate_expires {
        let help = "Until when the admin endpoint's own certificate is valid, in seconds since 1970.";
        out.gauge("mirrorball_admin_certificate_expiry_seconds", help, &[], expires as f64);
    }
    for (reason, refused) in [("idle", visits.made_way), ("pages", visits.pages_refused)] {
        let help = "Clients of the admin endpoint that were not served.";
        out.counter("mirrorball_admin_refused_total", help, &[("reason", reason)], refused);
    }
}
