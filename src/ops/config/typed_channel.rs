//! What was typed in a `[[channel]]`.

use toml::Spanned;

use super::report::Report;
use super::section::{Number, SectionReader, Typed};

pub(super) struct TypedChannel {
    /// How errors name it: `channel "news"`, or `[[channel]]` while it has no name.
    pub(super) place: String,
    /// Where its header stands.
    pub(super) offset: usize,
    /// Whether a key was noted as wrong, so that its absence is not noted a second time.
    pub(super) spoiled: bool,
    pub(super) name: Typed<String>,
    pub(super) source: Typed<String>,
    pub(super) sources: Typed<Vec<Spanned<String>>>,
    pub(super) sdp: Typed<String>,
    pub(super) directory: Typed<String>,
    pub(super) goes_round: Typed<bool>,
    pub(super) transport: Typed<String>,
    pub(super) login: Typed<String>,
    pub(super) tls_ca: Typed<String>,
    pub(super) interface: Typed<String>,
    pub(super) interfaces: Typed<Vec<Spanned<String>>>,
    pub(super) redundancy: Typed<String>,
    pub(super) skew: Typed<String>,
    pub(super) failover_after: Typed<String>,
    pub(super) failover_loss: Typed<Number>,
    pub(super) return_after: Typed<String>,
    pub(super) join: Typed<String>,
    pub(super) linger: Typed<String>,
    pub(super) renew: Typed<String>,
    pub(super) silent_after: Typed<String>,
    pub(super) coalesce: Typed<String>,
    pub(super) start: Typed<String>,
    pub(super) burst_percent: Typed<Number>,
    pub(super) repair_percent: Typed<Number>,
    pub(super) offer_repair: Typed<String>,
    pub(super) dscp: Typed<Number>,
    pub(super) ttl: Typed<Number>,
    pub(super) users: Typed<Vec<Spanned<String>>>,
    pub(super) public: Typed<bool>,
    pub(super) allow: Typed<Vec<Spanned<String>>>,
    pub(super) deny: Typed<Vec<Spanned<String>>>,
    pub(super) multicast_out: Typed<String>,
    pub(super) multicast_out_ttl: Typed<Number>,
    pub(super) multicast_out_interface: Typed<String>,
    pub(super) announce: Typed<bool>,
    pub(super) sessions: Typed<Number>,
    pub(super) record: Typed<String>,
    pub(super) record_bytes: Typed<Number>,
    pub(super) number: Typed<Number>,
    pub(super) title: Typed<String>,
    pub(super) logo: Typed<String>,
    pub(super) group: Typed<String>,
    pub(super) tvg_id: Typed<String>,
}

impl TypedChannel {
    pub(super) fn read(mut from: SectionReader<'_>, report: &mut Report<'_>) -> Self {
        let name: Typed<String> = from.read("name", report);
        if let Some(name) = &name {
            from.place = format!("channel {:?}", name.get_ref());
        }
        let (place, offset) = (from.place.clone(), from.offset);
        let mut typed = Self {
            place,
            offset,
            spoiled: false,
            name,
            source: from.read("source", report),
            sources: from.read("sources", report),
            sdp: from.read("sdp", report),
            directory: from.read("directory", report),
            goes_round: from.read("loop", report),
            transport: from.read("transport", report),
            login: from.read("login", report),
            tls_ca: from.read("tls_ca", report),
            interface: from.read("interface", report),
            interfaces: from.read("interfaces", report),
            redundancy: from.read("redundancy", report),
            skew: from.read("skew", report),
            failover_after: from.read("failover_after", report),
            failover_loss: from.read("failover_loss", report),
            return_after: from.read("return_after", report),
            join: from.read("join", report),
            linger: from.read("linger", report),
            renew: from.read("renew", report),
            silent_after: from.read("silent_after", report),
            coalesce: from.read("coalesce", report),
            start: from.read("start", report),
            burst_percent: from.read("burst_percent", report),
            repair_percent: from.read("repair_percent", report),
            offer_repair: from.read("offer_repair", report),
            dscp: from.read("dscp", report),
            ttl: from.read("ttl", report),
            multicast_out: from.read("multicast_out", report),
            multicast_out_ttl: from.read("multicast_out_ttl", report),
            multicast_out_interface: from.read("multicast_out_interface", report),
            announce: from.read("announce", report),
            sessions: from.read("sessions", report),
            record: from.read("record", report),
            record_bytes: from.read("record_bytes", report),
            number: from.read("number", report),
            title: from.read("title", report),
            logo: from.read("logo", report),
            group: from.read("group", report),
            tvg_id: from.read("tvg_id", report),
            users: from.read("users", report),
            public: from.read("public", report),
            allow: from.read("allow", report),
            deny: from.read("deny", report),
        };
        typed.spoiled = from.finish(report);
        typed
    }

    /// Where it says what it is, or its header where it does not.
    pub(super) fn input_offset(&self) -> usize {
        let said = self.source.as_ref().or(self.sdp.as_ref()).or(self.directory.as_ref()).map(Spanned::span);
        said.or(self.sources.as_ref().map(Spanned::span)).map_or(self.offset, |span| span.start)
    }
}
