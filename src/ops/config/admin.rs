//! `[admin]`: where operators are answered, who they are, and how much they are shown.

use std::net::Ipv4Addr;
use std::path::Path;

use toml::Spanned;

use super::operators::AdminConfig;
use super::report::Report;
use super::scalar;
use super::section::Typed;
use super::tokens::roles;
use super::typed_admin::TypedAdmin;
use super::within::{number_within, parsed};
use crate::serve::KeyFiles;

const PORT: u16 = 9469;

pub(super) fn resolve(typed: &TypedAdmin, directory: &Path, report: &mut Report<'_>) -> AdminConfig {
    let listen = parsed(&typed.listen, "[admin] listen", scalar::listen_address, report);
    let tokens = parsed(&typed.tokens, "[admin] tokens", |file| roles(&directory.join(file)), report);
    let config = AdminConfig {
        listen: listen.unwrap_or((Ipv4Addr::LOCALHOST, PORT).into()),
        tokens: tokens.unwrap_or_default(),
        tls: tls(typed, directory, report),
        previews: number_within(&typed.previews, "[admin] previews", 4, 0..=64, report),
    };
    note_what_is_in_the_open(typed, &config, report);
    let is_empty = |file: &&Spanned<String>| file.get_ref().is_empty();
    if let Some(file) = typed.channels_file.as_ref().filter(is_empty) {
        let wrong = "[admin] channels_file is empty; write a file's name, or leave the key out";
        report.add(file.span().start, wrong);
    }
    config
}

/// The pair is read, so that a config that is right can be served.
fn tls(typed: &TypedAdmin, directory: &Path, report: &mut Report<'_>) -> Option<KeyFiles> {
    let (certificate, key) = match (&typed.certificate, &typed.private_key) {
        (None, None) => return None,
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(alone), None) => {
            let wrong = "[admin] certificate: private_key is missing; write private_key = \"admin.key\"";
            report.add(alone.span().start, wrong);
            return None;
        }
        (None, Some(alone)) => {
            let wrong = "[admin] private_key: certificate is missing; write certificate = \"admin.pem\"";
            report.add(alone.span().start, wrong);
            return None;
        }
    };
    let file = |name: &str| directory.join(name);
    let files = KeyFiles { certificate: file(certificate.get_ref()), private_key: file(key.get_ref()) };
    match files.load() {
        Ok(_) => Some(files),
        Err(bad) => {
            report.add(certificate.span().start, format!("[admin] certificate: {bad}"));
            None
        }
    }
}

/// What leaves this machine is read by others.
fn note_what_is_in_the_open(typed: &TypedAdmin, config: &AdminConfig, report: &mut Report<'_>) {
    let offset = |typed: &Typed<String>| typed.as_ref().map(|text| text.span().start);
    let Some(at) = offset(&typed.listen).filter(|_| !config.listen.ip().is_loopback()) else { return };
    if config.tokens.is_empty() {
        let note = "[admin] listen is no address of loopback: without tokens nobody is shown the status page, sessions and the rest of /api there; \
             write tokens = \"admin.tokens\"";
        report.warn(at, note);
    } else if config.tls.is_none() {
        let note = "[admin] listen is no address of loopback: without certificate and private_key the tokens go there in the clear";
        report.warn(at, note);
    }
}
