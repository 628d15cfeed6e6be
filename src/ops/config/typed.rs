//! What was typed: every value as the operator wrote it, with its place in the file. Knows the file's
//! shape, not whether a value makes sense.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{
    ACCESS, ADMIN, CHANNEL, ENGINE, HTTP, KEYS, LIBRARY, LIMITS, LOG, RING, RTSP, SAP, STORAGE, Section,
    nearest,
};
use super::report::Report;
use super::section::{Number, SectionReader, Typed};
use super::typed_admin::TypedAdmin;
use super::typed_http::TypedHttp;
use super::typed_library::TypedLibrary;
use super::typed_storage::TypedStorage;

/// The file as typed. What was of a wrong type is absent here and noted in the report.
pub(super) struct TypedConfig {
    pub(super) rtsp: TypedRtsp,
    pub(super) http: TypedHttp,
    pub(super) admin: TypedAdmin,
    pub(super) log: TypedLog,
    pub(super) engine: TypedEngine,
    pub(super) ring: TypedRing,
    pub(super) limits: TypedLimits,
    pub(super) access: TypedAccess,
    pub(super) sap: TypedSap,
    pub(super) storage: TypedStorage,
    pub(super) libraries: Vec<TypedLibrary>,
    pub(super) channels: Vec<TypedChannel>,
}

pub(super) struct TypedRtsp {
    /// Whether something was noted here, so that defaults may stand in for what was meant; so it is below.
    pub(super) spoiled: bool,
    pub(super) listen: Typed<Vec<Spanned<String>>>,
    pub(super) tls_listen: Typed<Vec<Spanned<String>>>,
    pub(super) certificate: Typed<String>,
    pub(super) private_key: Typed<String>,
    pub(super) clear_media: Typed<bool>,
    pub(super) http_listen: Typed<Vec<Spanned<String>>>,
    pub(super) udp_ports: Typed<String>,
    pub(super) dont_fragment: Typed<bool>,
    pub(super) learn_ports: Typed<String>,
    pub(super) transports: Typed<Vec<Spanned<String>>>,
    pub(super) session_timeout: Typed<String>,
    pub(super) longest_silence: Typed<String>,
    pub(super) close_grace: Typed<String>,
    pub(super) repair_agents: Typed<Vec<Spanned<String>>>,
}

pub(super) struct TypedLog {
    pub(super) format: Typed<String>,
}

pub(super) struct TypedEngine {
    pub(super) poll_table_entries: Typed<Number>,
    pub(super) media_workers: Typed<Number>,
    pub(super) busy_percent: Typed<Number>,
    pub(super) control_workers: Typed<Number>,
}

pub(super) struct TypedRing {
    pub(super) spoiled: bool,
    pub(super) max_age: Typed<String>,
    pub(super) max_bytes: Typed<Number>,
}

pub(super) struct TypedLimits {
    pub(super) spoiled: bool,
    pub(super) connections: Typed<Number>,
    pub(super) connections_per_address: Typed<Number>,
    pub(super) sessions: Typed<Number>,
    pub(super) sessions_per_address: Typed<Number>,
    pub(super) sessions_per_channel: Typed<Number>,
    pub(super) unread_bytes_per_address: Typed<Number>,
    pub(super) egress_mbit: Typed<Number>,
    pub(super) burst_mbit: Typed<Number>,
    pub(super) repair_mbit: Typed<Number>,
    pub(super) membership_changes: Typed<Number>,
    pub(super) line_groups: Typed<Number>,
    pub(super) line_mbit: Typed<Number>,
    pub(super) egress_mbit_per_address: Typed<Number>,
    pub(super) drain_timeout: Typed<String>,
    pub(super) redirect: Typed<String>,
    pub(super) redirect_tls: Typed<String>,
}

pub(super) struct TypedAccess {
    pub(super) users: Typed<String>,
    pub(super) allow: Typed<Vec<Spanned<String>>>,
    pub(super) deny: Typed<Vec<Spanned<String>>>,
    pub(super) nonce_lifetime: Typed<String>,
    pub(super) failures_per_address: Typed<Number>,
    pub(super) failure_pause: Typed<String>,
}

pub(super) struct TypedSap {
    pub(super) spoiled: bool,
    pub(super) listen: Typed<bool>,
    pub(super) origins: Typed<Vec<Spanned<String>>>,
    pub(super) groups: Typed<Vec<Spanned<String>>>,
    pub(super) interface: Typed<String>,
    pub(super) sessions: Typed<Number>,
    pub(super) sessions_per_sender: Typed<Number>,
    pub(super) timeout: Typed<String>,
    pub(super) prefix: Typed<String>,
    pub(super) join: Typed<String>,
    pub(super) linger: Typed<String>,
    pub(super) announce: Typed<bool>,
}

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
    /// Where it says what it is, or its header where it does not.
    pub(super) fn input_offset(&self) -> usize {
        let said = self.source.as_ref().or(self.sdp.as_ref()).or(self.directory.as_ref()).map(Spanned::span);
        said.or(self.sources.as_ref().map(Spanned::span)).map_or(self.offset, |span| span.start)
    }
}

impl TypedConfig {
    /// Takes the parsed document apart; unknown sections and keys are noted.
    pub(super) fn read(mut document: DeTable<'_>, report: &mut Report<'_>) -> Self {
        let config = Self {
            rtsp: read_rtsp(section(&mut document, RTSP, report), report),
            http: TypedHttp::read(section(&mut document, HTTP, report), report),
            admin: TypedAdmin::read(section(&mut document, ADMIN, report), report),
            log: read_log(section(&mut document, LOG, report), report),
            engine: read_engine(section(&mut document, ENGINE, report), report),
            ring: read_ring(section(&mut document, RING, report), report),
            limits: read_limits(section(&mut document, LIMITS, report), report),
            access: read_access(section(&mut document, ACCESS, report), report),
            sap: read_sap(section(&mut document, SAP, report), report),
            storage: TypedStorage::read(section(&mut document, STORAGE, report), report),
            libraries: each(repeated(&mut document, LIBRARY, report), TypedLibrary::read, report),
            channels: each(repeated(&mut document, CHANNEL, report), read_channel, report),
        };
        note_unknown_sections(&document, report);
        config
    }
}

fn section<'i>(document: &mut DeTable<'i>, section: Section, report: &mut Report<'_>) -> SectionReader<'i> {
    document
        .remove(section.name)
        .and_then(|value| SectionReader::new(section, value, report))
        .unwrap_or_else(|| SectionReader::absent(section, report))
}

fn read_rtsp(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedRtsp {
    let mut typed = TypedRtsp {
        spoiled: false,
        listen: from.read("listen", report),
        tls_listen: from.read("tls_listen", report),
        certificate: from.read("certificate", report),
        private_key: from.read("private_key", report),
        clear_media: from.read("clear_media", report),
        http_listen: from.read("http_listen", report),
        udp_ports: from.read("udp_ports", report),
        dont_fragment: from.read("dont_fragment", report),
        learn_ports: from.read("learn_ports", report),
        transports: from.read("transports", report),
        session_timeout: from.read("session_timeout", report),
        longest_silence: from.read("longest_silence", report),
        close_grace: from.read("close_grace", report),
        repair_agents: from.read("repair_agents", report),
    };
    typed.spoiled = from.finish(report);
    typed
}

fn read_log(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedLog {
    let typed = TypedLog { format: from.read("format", report) };
    from.finish(report);
    typed
}

fn read_engine(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedEngine {
    let typed = TypedEngine {
        poll_table_entries: from.read("poll_table_entries", report),
        media_workers: from.read("media_workers", report),
        busy_percent: from.read("busy_percent", report),
        control_workers: from.read("control_workers", report),
    };
    from.finish(report);
    typed
}

fn read_ring(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedRing {
    let (max_age, max_bytes) = (from.read("max_age", report), from.read("max_bytes", report));
    TypedRing { max_age, max_bytes, spoiled: from.finish(report) }
}

fn read_limits(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedLimits {
    let mut typed = TypedLimits {
        spoiled: false,
        connections: from.read("connections", report),
        connections_per_address: from.read("connections_per_address", report),
        sessions: from.read("sessions", report),
        sessions_per_address: from.read("sessions_per_address", report),
        sessions_per_channel: from.read("sessions_per_channel", report),
        unread_bytes_per_address: from.read("unread_bytes_per_address", report),
        egress_mbit: from.read("egress_mbit", report),
        burst_mbit: from.read("burst_mbit", report),
        repair_mbit: from.read("repair_mbit", report),
        membership_changes: from.read("membership_changes", report),
        line_groups: from.read("line_groups", report),
        line_mbit: from.read("line_mbit", report),
        egress_mbit_per_address: from.read("egress_mbit_per_address", report),
        drain_timeout: from.read("drain_timeout", report),
        redirect: from.read("redirect", report),
        redirect_tls: from.read("redirect_tls", report),
    };
    typed.spoiled = from.finish(report);
    typed
}

fn read_access(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedAccess {
    let typed = TypedAccess {
        users: from.read("users", report),
        allow: from.read("allow", report),
        deny: from.read("deny", report),
        nonce_lifetime: from.read("nonce_lifetime", report),
        failures_per_address: from.read("failures_per_address", report),
        failure_pause: from.read("failure_pause", report),
    };
    from.finish(report);
    typed
}

fn read_sap(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedSap {
    let mut typed = TypedSap {
        spoiled: false,
        listen: from.read("listen", report),
        origins: from.read("origins", report),
        groups: from.read("groups", report),
        interface: from.read("interface", report),
        sessions: from.read("sessions", report),
        sessions_per_sender: from.read("sessions_per_sender", report),
        timeout: from.read("timeout", report),
        prefix: from.read("prefix", report),
        join: from.read("join", report),
        linger: from.read("linger", report),
        announce: from.read("announce", report),
    };
    typed.spoiled = from.finish(report);
    typed
}

fn each<'i, T>(
    tables: Vec<SectionReader<'i>>,
    read: impl Fn(SectionReader<'i>, &mut Report<'_>) -> T,
    report: &mut Report<'_>,
) -> Vec<T> {
    tables.into_iter().map(|table| read(table, report)).collect()
}

/// The tables of a section of which there may be several.
fn repeated<'i>(
    document: &mut DeTable<'i>,
    section: Section,
    report: &mut Report<'_>,
) -> Vec<SectionReader<'i>> {
    let Some(value) = document.remove(section.name) else { return Vec::new() };
    let (offset, name) = (value.span().start, section.name);
    let DeValue::Array(tables) = value.into_inner() else {
        report
            .add(offset, format!("`{name}` stands for one of several; write [[{name}]] in double brackets"));
        return Vec::new();
    };
    tables.into_iter().filter_map(|table| SectionReader::new(section, table, report)).collect()
}

fn read_channel(mut from: SectionReader<'_>, report: &mut Report<'_>) -> TypedChannel {
    let name: Typed<String> = from.read("name", report);
    if let Some(name) = &name {
        from.place = format!("channel {:?}", name.get_ref());
    }
    let (place, offset) = (from.place.clone(), from.offset);
    let mut typed = TypedChannel {
        place,
        offset,
        spoiled: false,
        name,
        source: from.read("source", report),
        sources: from.read("sources", report),
        sdp: from.read("sdp", report),
        directory: from.read("directory", report),
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

fn note_unknown_sections(document: &DeTable<'_>, report: &mut Report<'_>) {
    for (key, _) in document.iter() {
        let typed = key.get_ref().as_ref();
        let remedy = match nearest(typed, KEYS.iter().map(|section| section.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names: Vec<_> = KEYS.iter().map(|section| section.name).collect();
                format!("the sections are {}", names.join(", "))
            }
        };
        let wrong = format!("unknown section or key `{}`; {remedy}", typed.escape_debug());
        report.add_anyway(key.span().start, wrong);
    }
}
