//! Whether this machine knows what time it is, and until when its certificate is valid by that.

use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::event::clock;
use crate::net::clock_is_synchronised;

use super::super::config::Config;
use super::finding::{Area, Finding, State};

/// Before that a certificate is to be renewed.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// What systemd's client of NTP leaves once it has been answered. The kernel may not be told, as where it runs in a container.
const BY_SYSTEMD: &str = "/run/systemd/timesync/synchronized";

/// A finding for the clock, and one for each certificate.
pub fn look(config: &Config) -> Vec<Finding> {
    let tls = config.rtsp.tls.as_ref();
    let clock = of_clock(clock_is_synchronised(), Path::new(BY_SYSTEMD).exists(), tls.is_some());
    let certificate = tls.map(|tls| {
        let file = tls.files.certificate.display().to_string();
        of_certificate(&file, Duration::from_secs(tls.expires), clock::unix_now())
    });
    let of_admin = config.admin.tls.as_ref().and_then(|files| {
        // Where it can not be read the config is refused.
        let expires = Duration::from_secs(files.load().ok()?.expires());
        Some(of_certificate(&files.certificate.display().to_string(), expires, clock::unix_now()))
    });
    std::iter::once(clock).chain(certificate).chain(of_admin).collect()
}

/// What goes by the clock: certificates, and the times in the log.
fn of_clock(by_kernel: io::Result<bool>, by_systemd: bool, is_needed: bool) -> Finding {
    let new = |state, said: &str| Finding::new(Area::Clock, "time of day", state, said);
    let worse = if is_needed { State::Warn } else { State::Note };
    match by_kernel {
        Ok(true) => new(State::Ok, "synchronised, says the kernel"),
        _ if by_systemd => new(State::Ok, "synchronised, says systemd-timesyncd"),
        Ok(false) => new(
            worse,
            "nobody keeps it right, so that it drifts, and with it the times of the log and what certificates are judged by; turn on \
             NTP: timedatectl set-ntp true, or chrony",
        ),
        Err(error) => new(State::Note, &format!("whether anybody keeps it right can not be asked: {error}")),
    }
}

fn of_certificate(file: &str, expires: Duration, now: Duration) -> Finding {
    let until = httpdate::fmt_http_date(UNIX_EPOCH + expires);
    let (state, said) = match expires.checked_sub(now) {
        None => (State::Fail, format!("no longer valid since {until}; renew it")),
        Some(left) if left < SOON => {
            let days = left.as_secs() / (24 * 60 * 60);
            (State::Warn, format!("valid for {days} days, until {until}; renew it"))
        }
        Some(_) => (State::Ok, format!("valid until {until}")),
    };
    Finding::new(Area::Clock, file, state, &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_nobody_keeps_is_worse_where_certificates_are_judged_by_it() {
        let no_answer = || Err(io::ErrorKind::PermissionDenied.into());
        for (by_kernel, by_systemd, is_needed, state) in [
            (Ok(true), false, true, State::Ok),
            (Ok(false), true, true, State::Ok),
            (Ok(false), false, true, State::Warn),
            (Ok(false), false, false, State::Note),
            (no_answer(), true, true, State::Ok),
            (no_answer(), false, true, State::Note),
        ] {
            let found = of_clock(by_kernel, by_systemd, is_needed);
            assert_eq!(found.state, state, "{found:?}");
        }
    }

    #[test]
    fn a_certificate_is_told_before_it_ends() {
        let day = Duration::from_secs(24 * 60 * 60);
        let now = 20_000 * day;
        let told = |expires| of_certificate("edge.pem", expires, now);
        let states = [now + 31 * day, now + 7 * day, now - day].map(|expires| told(expires).state);
        assert_eq!(states, [State::Ok, State::Warn, State::Fail]);
        assert!(told(now + 7 * day).found.starts_with("valid for 7 days, until "));
        assert_eq!(told(now - day).remedy.as_deref(), Some("renew it"));
    }
}
