//! The addresses that the program is to listen on: whether it could, as whoever asks now. None is listened on for that.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use nix::unistd::geteuid;

use crate::net::try_listen;

use super::super::config::{Config, user_name};
use super::finding::{Area, Finding, State};
use super::holders::{Holder, Holders, Transport};
use super::settings::setting;

/// Ports below take a privilege, unless the machine is set otherwise.
const PRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";
const GRANT: &str =
    "AmbientCapabilities=CAP_NET_BIND_SERVICE and CapabilityBoundingSet=CAP_NET_BIND_SERVICE in the unit";

/// A finding for each.
pub fn look(config: &Config, holders: &Holders) -> Vec<Finding> {
    let first = setting(PRIVILEGED).unwrap_or(1024);
    let all = listeners(config).into_iter();
    all.map(|(at, key)| of_listener(at, key, try_listen(at), holders, first)).collect()
}

/// Each with the key that names it.
fn listeners(config: &Config) -> Vec<(SocketAddr, &'static str)> {
    let Config { rtsp, http, admin, .. } = config;
    let tls = rtsp.tls.iter().flat_map(|tls| &tls.listen);
    let of_http = http.iter().flat_map(|http| &http.listen);
    let https = http.iter().flat_map(|http| &http.tls_listen);
    let named = |key: &'static str| move |at: &SocketAddr| (*at, key);
    let all = rtsp.listen.iter().map(named("[rtsp] listen"));
    let all = all.chain(tls.map(named("[rtsp] tls_listen")));
    let all = all.chain(rtsp.http_listen.iter().map(named("[rtsp] http_listen")));
    let all = all.chain(of_http.map(named("[http] listen"))).chain(https.map(named("[http] tls_listen")));
    all.chain([(admin.listen, "[admin] listen")]).collect()
}

fn of_listener(
    at: SocketAddr,
    key: &str,
    tried: io::Result<()>,
    holders: &Holders,
    first_free: usize,
) -> Finding {
    let subject = format!("TCP {at}");
    let port = |state, said: String| Finding::new(Area::Port, &subject, state, &said);
    let permission = |state, said: String| Finding::new(Area::Permission, &subject, state, &said);
    let is_privileged = at.port() != 0 && usize::from(at.port()) < first_free;
    match tried.map_err(|error| (error.kind(), error)) {
        Ok(()) if at.port() == 0 => port(State::Ok, format!("any free port, for {key}")),
        Ok(()) if is_privileged && geteuid().is_root() => permission(
            State::Note,
            format!("free, and for root to take, for {key}; where another user serves: {GRANT}"),
        ),
        Ok(()) => port(State::Ok, format!("free, for {key}")),
        Err((ErrorKind::AddrInUse, _)) => {
            let (state, said) = taken(holders.of(Transport::Tcp, at), "ss -lntp", key);
            port(state, said)
        }
        Err((ErrorKind::AddrNotAvailable, _)) => port(
            State::Fail,
            format!(
                "no interface of this machine has that address; write one that it has in {key}, or plug it in"
            ),
        ),
        Err((ErrorKind::PermissionDenied, _)) => permission(
            State::Fail,
            format!(
                "user {} may not listen on ports below {first_free}; {GRANT} (`systemctl edit mirrorball`), or write another \
                 port in {key}",
                user_name(geteuid())
            ),
        ),
        Err((_, error)) => port(State::Fail, format!("can not be listened on: {error}; see {key}")),
    }
}

/// What is said of a port that somebody has: `tool` would tell root who.
pub fn taken(holder: Option<Holder>, tool: &str, key: &str) -> (State, String) {
    match holder {
        Some(holder @ Holder::Itself { .. }) => (State::Ok, format!("held by {holder}")),
        Some(holder @ Holder::Other { .. }) => {
            (State::Fail, format!("taken by {holder}; end that, or write another port in {key}"))
        }
        Some(holder @ Holder::Hidden { .. }) => (
            State::Warn,
            format!(
                "taken by {holder}; if it is not the Mirrorball that runs (`sudo {tool}` tells), end it, or write another port \
                 in {key}"
            ),
        ),
        None => (
            State::Warn,
            format!(
                "taken by a program that is not to be seen from here; `sudo {tool}` tells which: end it, or write another port \
                 in {key}"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::path::Path;

    fn told(at: &str, tried: io::Result<()>) -> Finding {
        of_listener(at.parse().expect("right"), "[rtsp] listen", tried, &Holders::now(), 1024)
    }

    #[test]
    fn a_port_that_another_program_has_is_told_with_that_program() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = taken.local_addr().expect("bound");
        let text = format!("[rtsp]\nlisten = [\"{at}\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n");
        let config = Config::parse(&text, Path::new("a.toml")).expect("it works");
        let found = look(&config, &Holders::now());
        let states: Vec<_> = found.iter().map(|found| found.state).collect();
        assert_eq!(states, [State::Fail, State::Ok], "{found:?}");
        let pid = format!("(pid {})", std::process::id());
        assert!(found[0].found.contains("taken by ") && found[0].found.contains(&pid), "{found:?}");
        drop(taken);
        assert_eq!(look(&config, &Holders::now())[0].found, "free, for [rtsp] listen");
    }

    #[test]
    fn what_the_kernel_refuses_is_told_with_what_to_do() {
        let failed = |kind| Err(io::Error::from(kind));
        let found = told("0.0.0.0:80", failed(ErrorKind::PermissionDenied));
        assert_eq!((found.area, found.state), (Area::Permission, State::Fail));
        assert!(found.found.contains("may not listen on ports below 1024"), "{found:?}");
        assert!(found.remedy.expect("one").contains("CAP_NET_BIND_SERVICE"));
        let found = told("192.0.2.1:8554", try_listen("192.0.2.1:8554".parse().expect("right")));
        assert!(found.state == State::Fail && found.found.starts_with("no interface"), "{found:?}");
        assert_eq!(told("0.0.0.0:8554", failed(ErrorKind::OutOfMemory)).state, State::Fail);
    }

    #[test]
    fn who_has_a_port_decides_how_bad_that_is() {
        let told = |holder| taken(holder, "ss -lntp", "[rtsp] listen").0;
        let other = Holder::Other { name: "nginx".into(), pid: 7 };
        let hidden = Holder::Hidden { user: "www-data".into() };
        let states = [Some(Holder::Itself { pid: 7 }), Some(other), Some(hidden), None].map(told);
        assert_eq!(states, [State::Ok, State::Fail, State::Warn, State::Warn]);
    }
}
