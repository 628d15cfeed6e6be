//! The keys of `[rtsp]` that are about TLS: each says nothing without the others.

use std::path::Path;

use toml::Spanned;

use super::report::Report;
use super::section::Typed;
use super::truth::TlsConfig;
use super::typed::TypedRtsp;
use super::unreadable::{why, why_no_key};
use super::within::listeners;
use crate::serve::{BadPair, KeyFiles};

/// How TLS is served, if it is to be, be it for HTTP alone, which says so at `https`. The pair is read, so that a config that is right
/// can be served.
pub(super) fn resolve(
    typed: &TypedRtsp,
    https: Option<usize>,
    directory: &Path,
    report: &mut Report<'_>,
) -> Option<TlsConfig> {
    let listen = listeners(&typed.tls_listen, "[rtsp] tls_listen", "[\"0.0.0.0:8322\"]", report);
    let of_rtsp = typed.tls_listen.as_ref().map(|list| ("[rtsp]", list.span().start));
    let Some((section, offset)) = of_rtsp.or(https.map(|offset| ("[http]", offset))) else {
        note_what_is_for_nothing(typed, report);
        return None;
    };
    let mut named = |file: &Typed<String>, key: &str, example: &str| match file {
        Some(text) => Some((directory.join(text.get_ref()), text.span().start)),
        None => {
            let wrong = format!("{section} tls_listen: {key} is missing; write {key} = {example:?}");
            report.add(offset, wrong + if section == "[http]" { " in [rtsp]" } else { "" });
            None
        }
    };
    let certificate = named(&typed.certificate, "certificate", "edge.pem");
    let private_key = named(&typed.private_key, "private_key", "edge.key");
    let ((certificate, of_certificate), (private_key, of_key)) = certificate.zip(private_key)?;
    let files = KeyFiles { certificate, private_key };
    match files.load() {
        Ok(pair) => {
            let clear_media = typed.clear_media.as_ref().is_some_and(|clear| *clear.get_ref());
            Some(TlsConfig { listen, files, expires: pair.expires(), clear_media })
        }
        Err(bad) => {
            let is_of_key = match &bad {
                BadPair::Unreadable { file, .. } => *file == files.private_key,
                BadPair::NoKey { .. } | BadPair::Exposed { .. } | BadPair::Mismatch { .. } => true,
                BadPair::NoCertificate { .. } | BadPair::Unusable { .. } => false,
            };
            let wrong = match &bad {
                BadPair::Unreadable { file, error } => {
                    let why = if is_of_key { why_no_key(file, error) } else { why(file, error) };
                    format!("{} can not be read: {why}", file.display())
                }
                bad => bad.to_string(),
            };
            match is_of_key {
                true => report.add(of_key, format!("[rtsp] private_key: {wrong}")),
                false => report.add(of_certificate, format!("[rtsp] certificate: {wrong}")),
            }
            None
        }
    }
}

/// What is said of TLS where nobody listens for it.
fn note_what_is_for_nothing(typed: &TypedRtsp, report: &mut Report<'_>) {
    let place = |text: &Spanned<String>| text.span().start;
    let keys = [
        ("certificate", typed.certificate.as_ref().map(place)),
        ("private_key", typed.private_key.as_ref().map(place)),
        ("clear_media", typed.clear_media.as_ref().map(|clear| clear.span().start)),
    ];
    let first = keys.iter().find_map(|(key, offset)| Some((*key, (*offset)?)));
    if let Some((key, offset)) = first {
        let wrong = format!(
            "[rtsp] {key}: nothing is served with TLS; write tls_listen = [\"0.0.0.0:8322\"], or leave it out"
        );
        report.add(offset, wrong);
    }
}
