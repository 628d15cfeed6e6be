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
use super::typed_channel::TypedChannel;
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
            channels: each(repeated(&mut document, CHANNEL, report), TypedChannel::read, report),
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
