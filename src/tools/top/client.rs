//! Asks the API of a program that runs. Each question has its time, each answer its size.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use form_urlencoded::Serializer;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use ureq::Agent;
use ureq::http::header::AUTHORIZATION;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Endpoint;
use super::state::{Answer, Wanted};
use crate::serve::legible;

/// Where a token may be, beside a file.
const VARIABLE: &str = "MIRRORBALL_TOKEN";
/// One question.
const PATIENCE: Duration = Duration::from_secs(5);
/// Thousands of channels, and a page of sessions.
const MOST_BYTES: u64 = 32 << 20;
/// A token, and certificates.
const MOST_OF_A_FILE: u64 = 4 << 20;
/// As many as the API gives at a time.
const SESSIONS: usize = 1000;

/// One who asks.
pub struct Client {
    agent: Agent,
    endpoint: Endpoint,
    login: Option<HeaderValue>,
}

impl Client {
    /// One who comes with the token of a file or of the environment, and believes whom a file of certificates or this machine
    /// believes.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn new(endpoint: &Endpoint, token: Option<&Path>, ca: Option<&Path>) -> Result<Self, String> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0) // a token is for who was named
            .proxy(None)
            .timeout_global(Some(PATIENCE));
        let config = match endpoint.is_secret() {
            true => config.tls_config(trust(ca)?),
            false => config,
        };
        let agent = config.build().new_agent();
        Ok(Self { agent, endpoint: endpoint.clone(), login: login(token)? })
    }

    /// Where it asks.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// All that is shown.
    ///
    /// # Errors
    /// Why there is none of it.
    pub(super) fn ask(&self, wanted: &Wanted) -> Result<Answer, String> {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", &SESSIONS.to_string());
        for (key, value) in [("channel", &wanted.channel), ("client", &wanted.client)] {
            query.extend_pairs(value.as_ref().map(|value| (key, value)));
        }
        Ok(Answer {
            status: self.get("/api/status")?,
            channels: self.get("/api/channels")?,
            sessions: self.get(&format!("/api/sessions?{}", query.finish()))?,
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Why it goes on.
    pub(super) fn end(&self, session: u64) -> Result<(), String> {
        let mut request = self.agent.delete(format!("{}/api/sessions/{session}", self.endpoint));
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        read(request.call()).map(drop)
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let mut request = self.agent.get(format!("{}{path}", self.endpoint));
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, login);
        }
        read(request.call())
    }
}

fn read(answered: Result<Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let mut answer = answered.map_err(|error| legible(&error.to_string()))?;
    let status = answer.status();
    let body = answer.body_mut().with_config().limit(MOST_BYTES).read_to_vec();
    let body = body.map_err(|error| legible(&error.to_string()))?;
    let told: Option<Value> = serde_json::from_slice(&body).ok();
    if status.is_success() {
        return told.ok_or_else(|| "what answers there is no API of Mirrorball".to_owned());
    }
    let why = told.as_ref().and_then(|told| told["error"].as_str()).map(legible);
    let why = why.or(status.canonical_reason().map(str::to_owned)).unwrap_or_default();
    let remedy = match status.as_u16() {
        401 | 403 => format!(" (--token FILE, or {VARIABLE})"),
        _ => String::new(),
    };
    Err(format!("{}: {why}{remedy}", status.as_u16()))
}

/// A bearer's token.
fn login(file: Option<&Path>) -> Result<Option<HeaderValue>, String> {
    let (token, of) = match (file, env::var(VARIABLE)) {
        (Some(file), _) => (text(file)?, file.display().to_string()),
        (None, Ok(token)) if !token.is_empty() => (token, VARIABLE.to_owned()),
        (None, Err(env::VarError::NotUnicode(_))) => return Err(format!("{VARIABLE}: it is no text")),
        (None, _) => return Ok(None),
    };
    let token = token.trim();
    if token.is_empty() || token.lines().count() > 1 {
        return Err(format!("{of}: it is no token; write one, and nothing else"));
    }
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| format!("{of}: it is no token; one is of ASCII"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn trust(ca: Option<&Path>) -> Result<TlsConfig, String> {
    let found = match ca {
        Some(file) => {
            let text = text(file)?;
            let read = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
            read.map_err(|error| format!("{}: it is no file of certificates: {error}", file.display()))?
        }
        None => rustls_native_certs::load_native_certs().certs,
    };
    if found.is_empty() {
        return Err(match ca {
            Some(file) => format!("{}: there is no certificate in it (PEM)", file.display()),
            None => "this machine trusts no authority; write --ca FILE, or install ca-certificates".into(),
        });
    }
    let roots: RootCerts = found.iter().map(|own| Certificate::from_der(own).to_owned()).into();
    let builder = TlsConfig::builder().root_certs(roots);
    Ok(builder.unversioned_rustls_crypto_provider(Arc::new(ring::default_provider())).build())
}

fn text(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read: io::Result<_> =
        File::open(file).and_then(|open| open.take(MOST_OF_A_FILE).read_to_string(&mut text));
    read.map(|_| text).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_token_is_alone_in_its_file_and_told_to_nobody() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("token");
        let of = |text: &str| {
            fs::write(&file, text).expect("a file");
            login(Some(&file))
        };
        let value = of("looking-at-it-all\n").expect("a token").expect("one");
        assert_eq!(value.as_bytes(), b"Bearer looking-at-it-all");
        assert!(!format!("{value:?}").contains("looking"));
        for wrong in ["", "\n", "one\ntwo", "a\u{1}b"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
        assert!(login(Some(&directory.path().join("none"))).is_err());
    }

    #[test]
    fn a_file_of_certificates_holds_some() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("ca.pem");
        fs::write(&file, "nothing").expect("a file");
        let error = trust(Some(&file)).expect_err("none");
        assert!(error.contains("no certificate in it"), "{error}");
    }
}
