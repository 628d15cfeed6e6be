//! Every section and key a config may hold, each with an example. Knows no meaning beyond that: the
//! documentation, the reader and the "did you mean" all go by this one table.

/// A key and a value that is right for it, as it would be typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// An example in TOML, shown as the remedy when the value is of the wrong type.
    pub example: &'static str,
}

/// A section and its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// The table's name.
    pub name: &'static str,
    /// Whether it is written `[[name]]`, once for each, rather than `[name]`.
    pub repeated: bool,
    /// The keys it may hold.
    pub keys: &'static [Key],
}

impl Section {
    /// How its header is written.
    pub(super) fn header(&self) -> String {
        if self.repeated { format!("[[{}]]", self.name) } else { format!("[{}]", self.name) }
    }
}

const fn key(name: &'static str, example: &'static str) -> Key {
    Key { name, example }
}

/// The whole config, its sections in the order of the documentation.
pub const KEYS: &[Section] =
    &[RTSP, HTTP, ADMIN, LOG, ENGINE, RING, LIMITS, ACCESS, SAP, STORAGE, LIBRARY, CHANNEL];

pub(super) const RTSP: Section = Section {
    name: "rtsp",
    repeated: false,
    keys: &[
        key("listen", r#"["0.0.0.0:8554"]"#),
        key("tls_listen", r#"["0.0.0.0:8322"]"#),
        key("certificate", r#""edge.pem""#),
        key("private_key", r#""edge.key""#),
        key("clear_media", "false"),
        key("http_listen", r#"["0.0.0.0:8080"]"#),
        key("udp_ports", r#""6970-6999""#),
        key("dont_fragment", "false"),
        key("learn_ports", r#""immediate""#),
        key("transports", r#"["udp", "tcp", "multicast", "raw"]"#),
        key("session_timeout", r#""60s""#),
        key("longest_silence", r#""24h""#),
        key("close_grace", r#""10s""#),
        key("repair_agents", r#"["GStreamer/ rtx", "Lavf originals"]"#),
    ],
};

pub(super) const HTTP: Section = Section {
    name: "http",
    repeated: false,
    keys: &[
        key("listen", r#"["0.0.0.0:8080"]"#),
        key("tls_listen", r#"["0.0.0.0:8443"]"#),
        key("share_ports", "false"),
        key("open", r#"["239.9.0.0/16"]"#),
        key("open_channels", "64"),
        key("interface", r#""eth0""#),
        key("linger", r#""10s""#),
        key("url", r#""http://tv.example:8080""#),
        key("guide", r#""http://tv.example/guide.xml""#),
        key("time_zone", r#""Europe/Berlin""#),
        key("name", r#""Mirrorball""#),
        key("tokens", r#""http.tokens""#),
    ],
};

pub(super) const ADMIN: Section = Section {
    name: "admin",
    repeated: false,
    keys: &[
        key("listen", r#""127.0.0.1:9469""#),
        key("tokens", r#""admin.tokens""#),
        key("certificate", r#""admin.pem""#),
        key("private_key", r#""admin.key""#),
        key("channels_file", r#""channels.toml""#),
        key("previews", "4"),
    ],
};

pub(super) const LOG: Section = Section { name: "log", repeated: false, keys: &[key("format", r#""auto""#)] };

pub(super) const ENGINE: Section = Section {
    name: "engine",
    repeated: false,
    keys: &[
        key("poll_table_entries", "256"),
        key("media_workers", "0"),
        key("busy_percent", "60"),
        key("control_workers", "2"),
    ],
};

pub(super) const RING: Section = Section {
    name: "ring",
    repeated: false,
    keys: &[key("max_age", r#""2s""#), key("max_bytes", "8388608")],
};

pub(super) const LIMITS: Section = Section {
    name: "limits",
    repeated: false,
    keys: &[
        key("connections", "20000"),
        key("connections_per_address", "2000"),
        key("sessions", "20000"),
        key("sessions_per_address", "2000"),
        key("sessions_per_channel", "20000"),
        key("unread_bytes_per_address", "4194304"),
        key("egress_mbit", "10000"),
        key("burst_mbit", "1000"),
        key("repair_mbit", "1000"),
        key("membership_changes", "10"),
        key("line_groups", "8"),
        key("line_mbit", "50"),
        key("egress_mbit_per_address", "1000"),
        key("drain_timeout", r#""5min""#),
        key("redirect", r#""rtsp://other.example:8554""#),
        key("redirect_tls", r#""rtsps://other.example:8322""#),
    ],
};

pub(super) const ACCESS: Section = Section {
    name: "access",
    repeated: false,
    keys: &[
        key("users", r#""users""#),
        key("allow", r#"["10.0.0.0/8"]"#),
        key("deny", r#"["192.0.2.7"]"#),
        key("nonce_lifetime", r#""5min""#),
        key("failures_per_address", "10"),
        key("failure_pause", r#""60s""#),
    ],
};

pub(super) const SAP: Section = Section {
    name: "sap",
    repeated: false,
    keys: &[
        key("listen", "true"),
        key("origins", r#"["192.0.2.0/24"]"#),
        key("groups", r#"["239.255.255.255"]"#),
        key("interface", r#""eth0""#),
        key("sessions", "64"),
        key("sessions_per_sender", "32"),
        key("timeout", r#""60min""#),
        key("prefix", r#""sap/""#),
        key("join", r#""on-demand""#),
        key("linger", r#""10s""#),
        key("announce", "true"),
    ],
};

pub(super) const STORAGE: Section = Section {
    name: "storage",
    repeated: false,
    keys: &[
        key("directory", r#""/var/lib/mirrorball/recordings""#),
        key("max_bytes", "200_000_000_000"),
        key("min_free_bytes", "1_073_741_824"),
        key("viewers", "1000"),
        key("workers", "2"),
    ],
};

pub(super) const LIBRARY: Section = Section {
    name: "library",
    repeated: true,
    keys: &[
        key("name", r#""films""#),
        key("directory", r#""/srv/films""#),
        key("users", r#"["anna"]"#),
        key("public", "true"),
        key("allow", r#"["10.0.0.0/8"]"#),
        key("deny", r#"["192.0.2.7"]"#),
    ],
};

pub(super) const CHANNEL: Section = Section {
    name: "channel",
    repeated: true,
    keys: &[
        key("name", r#""news""#),
        key("source", r#""rtp://239.9.9.1:5004""#),
        key("sources", r#"["rtp://239.9.9.1:5004", "rtp://239.9.10.1:5004"]"#),
        key("sdp", r#""news.sdp""#),
        key("directory", r#""sessions""#),
        key("loop", "true"),
        key("transport", r#""tcp""#),
        key("login", r#""camera.login""#),
        key("tls_ca", r#""camera.pem""#),
        key("interface", r#""eth0""#),
        key("interfaces", r#"["eth0", "eth1"]"#),
        key("redundancy", r#""merge""#),
        key("skew", r#""50ms""#),
        key("failover_after", r#""500ms""#),
        key("failover_loss", "5"),
        key("return_after", r#""10s""#),
        key("join", r#""on-demand""#),
        key("linger", r#""10s""#),
        key("renew", r#""60s""#),
        key("silent_after", r#""2s""#),
        key("coalesce", r#""auto""#),
        key("start", r#""rap""#),
        key("burst_percent", "130"),
        key("repair_percent", "20"),
        key("offer_repair", r#""known""#),
        key("dscp", "34"),
        key("ttl", "16"),
        key("multicast_out", r#""239.2.2.2:5000""#),
        key("multicast_out_ttl", "1"),
        key("multicast_out_interface", r#""eth1""#),
        key("announce", "true"),
        key("sessions", "500"),
        key("record", r#""2h""#),
        key("record_bytes", "20_000_000_000"),
        key("number", "1"),
        key("title", r#""News""#),
        key("logo", r#""http://tv.example/news.png""#),
        key("group", r#""Information""#),
        key("tvg_id", r#""news.example""#),
        key("users", r#"["anna"]"#),
        key("public", "true"),
        key("allow", r#"["10.0.0.0/8"]"#),
        key("deny", r#"["192.0.2.7"]"#),
    ],
};

/// The candidate that `typed` is most likely a slip of, if one is near.
pub(super) fn nearest<'c>(typed: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let tolerated = (typed.chars().count() / 2).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance: insertions, deletions and substitutions from `a` to `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_key() {
        let keys = ["listen", "udp_ports", "session_timeout"];
        assert_eq!(nearest("lisen", keys), Some("listen"));
        assert_eq!(nearest("udp_port", keys), Some("udp_ports"));
        assert_eq!(nearest("sesion_timout", keys), Some("session_timeout"));
    }

    #[test]
    fn a_different_word_finds_nothing() {
        assert_eq!(nearest("bandwidth", ["listen", "udp_ports"]), None);
        assert_eq!(nearest("", ["name"]), None);
    }
}
