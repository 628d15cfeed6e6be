//! Channels that are pulled from another server: `source = "rtsp://…"`, and the keys that are about it. Reads the files that
//! they name, and asks nobody.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::files::read_file;
use super::password::without_password;
use super::report::Report;
use super::typed_channel::TypedChannel;
use super::unreadable::why;
use super::within::parsed;
use crate::ingest::pull::{Pull, Transport, Trust};
use crate::wire::rtsp::{Login, Url, without_login};

/// The most of a file with a login.
const LOGIN_BYTES: u64 = 4096;
/// The most of one with certificates.
const CERTIFICATE_BYTES: u64 = 1 << 20;

/// Whether its source is a server's.
pub(super) fn is_pulled(typed: &TypedChannel) -> bool {
    let scheme = typed.source.as_ref().and_then(|source| source.get_ref().split_once("://"));
    scheme.is_some_and(|(scheme, _)| {
        ["rtsp", "rtsps"].iter().any(|own| scheme.trim().eq_ignore_ascii_case(own))
    })
}

/// Keys that are about servers, of a channel that comes from none.
pub(super) fn note_useless(typed: &TypedChannel, report: &mut Report<'_>) {
    for (name, key) in [("transport", &typed.transport), ("login", &typed.login), ("tls_ca", &typed.tls_ca)] {
        if let Some(key) = key.as_ref().filter(|_| !typed.spoiled) {
            let wrong = format!(
                "{} {name}: it is not pulled from a server; leave it out, or write source = \"rtsp://…\"",
                typed.place
            );
            report.add(key.span().start, wrong);
        }
    }
}

/// What is pulled, from where, and as whom.
pub(super) fn pull(typed: &TypedChannel, directory: &Path, report: &mut Report<'_>) -> Option<Pull> {
    let named = |key: &str| format!("{} {key}", typed.place);
    let name = typed.name.as_ref().map_or("", |name| name.get_ref());
    let asked = parsed(&typed.source, &typed.place, source, report);
    let transport = parsed(&typed.transport, &named("transport"), transport, report).unwrap_or_default();
    let by_file = parsed(&typed.login, &named("login"), |text| login(&directory.join(text)), report);
    note_open(typed, directory, report);
    let in_file = parsed(&typed.tls_ca, &named("tls_ca"), |text| trusted(&directory.join(text)), report);
    for (key, typed) in [("interface", &typed.interface), ("renew", &typed.renew)] {
        if let Some(typed) = typed {
            let wrong = format!(
                "{}: no group is joined, and the route leads to the server; leave it out",
                named(key)
            );
            report.add(typed.span().start, wrong);
        }
    }
    let (url, by_url) = asked?;
    if let (Some(_), Some(key)) = (&by_url, &typed.login) {
        let wrong = format!("{}: the source names user and password too; leave one out", named("login"));
        report.add(key.span().start, wrong);
    }
    let is_secret = url.scheme() == "rtsps";
    if let (false, Some(key)) = (is_secret, &typed.tls_ca) {
        let wrong =
            format!("{}: without TLS it does nothing; write rtsps://, or leave it out", named("tls_ca"));
        report.add(key.span().start, wrong);
    }
    let trust = match in_file {
        None if typed.tls_ca.is_none() && is_secret => of_this_machine(typed, report),
        in_file => in_file,
    };
    // A redirect may lead into TLS.
    let trust = trust.or_else(|| Trust::of_this_machine().ok());
    Some(Pull { name: name.to_owned(), url, login: by_url.or(by_file), transport, trust })
}

/// A password that all may read is no secret.
fn note_open(typed: &TypedChannel, directory: &Path, report: &mut Report<'_>) {
    let Some(key) = &typed.login else { return };
    let mode = fs::metadata(directory.join(key.get_ref())).map(|file| file.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o007 != 0) {
        let open = format!(
            "{} login: anybody on this machine may read {:?}; chmod o= it",
            typed.place,
            key.get_ref()
        );
        report.warn(key.span().start, open);
    }
}

fn source(text: &str) -> Result<(Url, Option<Login>), String> {
    let told = without_password(text);
    let remedy = "write rtsp://host:port/path, or rtsp://user:password@host:port/path";
    let wrong = |what: &str| format!("source {told:?}: {what}; {remedy}");
    let url = Url::parse(text.trim()).map_err(|error| wrong(&error.to_string()))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no host"));
    }
    let login = Login::of(&url).map_err(wrong)?;
    Ok((without_login(&url), login))
}

fn transport(text: &str) -> Result<Transport, String> {
    match text {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        _ => Err(format!("{text:?} is no transport; write \"tcp\", by which nothing is lost, or \"udp\"")),
    }
}

fn login(file: &Path) -> Result<Login, String> {
    let text = whole(file, LOGIN_BYTES)?;
    let text = String::from_utf8(text).map_err(|_| format!("{}: it is not UTF-8", file.display()))?;
    Login::in_text(&text).ok_or_else(|| format!("{}: write user:password in it, in one line", file.display()))
}

fn trusted(file: &Path) -> Result<Trust, String> {
    Trust::of_pem(&whole(file, CERTIFICATE_BYTES)?).map_err(|wrong| format!("{}: {wrong}", file.display()))
}

fn whole(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    read_file(file, most)
        .map_err(|error| format!("{} can not be read: {}", file.display(), why(file, &error)))
}

fn of_this_machine(typed: &TypedChannel, report: &mut Report<'_>) -> Option<Trust> {
    let trust = Trust::of_this_machine();
    trust
        .map_err(|wrong| {
            report.add(
                typed.input_offset(),
                format!("{}: {wrong}; name the server's certificate with tls_ca", typed.place),
            )
        })
        .ok()
}
