//! What a config would do. Of interfaces that are not there it says nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use ipnet::IpNet;

use crate::ingest::announce::Rules;
use crate::relay::Carriage;
use crate::serve::Learning;

use crate::ops::config::{AccessConfig, Config, ConfigError, HttpConfig, LimitsConfig, SapConfig, UdpPorts};

use super::plan_channel::{write_channel, write_directory};
use super::words::{from_where, named};

/// What the config in `file` would do, for printing.
///
/// # Errors
/// All the errors of the config; its text is what `check` prints, its exit code is
/// [`EXIT_CONFIG`](super::super::cli::EXIT_CONFIG).
pub fn plan(file: &Path) -> Result<Plan, ConfigError> {
    Ok(Plan { file: file.to_owned(), config: Config::load(file)? })
}

/// A config, told as what it would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    file: PathBuf,
    config: Config,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config {
            rtsp,
            http,
            admin,
            log,
            engine,
            ring,
            limits,
            access,
            sap,
            channels,
            directories,
            warnings,
            ..
        } = &self.config;
        writeln!(f, "RTSP      {}", listeners(&rtsp.listen))?;
        writeln!(
            f,
            "          sessions end after {:?} of silence, or {:?} while their source is silent",
            rtsp.session_timeout, rtsp.longest_silence
        )?;
        if let Some(tls) = &rtsp.tls {
            let until = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(tls.expires));
            let listen =
                if tls.listen.is_empty() { "for HTTP alone".to_owned() } else { listeners(&tls.listen) };
            writeln!(f, "TLS       {listen}")?;
            writeln!(f, "          {}, valid until {until}", tls.files.certificate.display())?;
            let media =
                if tls.clear_media { "media in the clear for who asks for UDP" } else { "no media over UDP" };
            writeln!(f, "          {media}")?;
        }
        if !rtsp.http_listen.is_empty() {
            writeln!(f, "tunnels   {}", listeners(&rtsp.http_listen))?;
        }
        http.iter().try_for_each(|http| write_http(f, http))?;
        writeln!(f, "UDP       {}", ports(rtsp.udp_ports))?;
        if rtsp.dont_fragment {
            writeln!(f, "          packets are dropped that are too large for a path")?;
        }
        if rtsp.learn_ports == Learning::Off {
            writeln!(f, "          viewers' ports are those that they name, also behind a NAT")?;
        }
        if rtsp.transports.len() < Carriage::OF_RTSP.len() {
            let served = rtsp.transports.iter().map(|by| by.label()).collect::<Vec<_>>().join(", ");
            writeln!(f, "          media goes by {served} alone")?;
        }
        writeln!(f, "admin     http://{}/", admin.listen)?;
        writeln!(f, "log       {}", log.format)?;
        writeln!(
            f,
            "engine    {} media workers, {} control workers",
            engine.media_workers, engine.control_workers
        )?;
        writeln!(f, "          media workers busy for {} % before packets wait", engine.busy_percent)?;
        writeln!(f, "          poll tables of {} entries", engine.poll_table_entries)?;
        writeln!(f, "ring      {:?} or {} bytes a track", ring.max_age, ring.max_bytes)?;
        write_limits(f, limits)?;
        writeln!(f, "access    {}", who_and_where(access))?;
        sap.iter().try_for_each(|sap| write_sap(f, sap))?;
        for warning in warnings {
            writeln!(f, "note      {}:{warning}", self.file.display())?;
        }
        writeln!(f, "channels  {}", channels.len())?;
        channels.iter().try_for_each(|channel| write_channel(f, channel))?;
        directories.iter().try_for_each(|directory| write_directory(f, directory))
    }
}

fn write_limits(f: &mut fmt::Formatter<'_>, limits: &LimitsConfig) -> fmt::Result {
    let (connections, sessions) = (limits.connections_per_address, limits.sessions_per_address);
    writeln!(f, "limits    {} connections, {connections} an address", limits.connections)?;
    let of_channel = limits.sessions_per_channel;
    writeln!(f, "          {} sessions, {sessions} an address, {of_channel} a channel", limits.sessions)?;
    let (all, egress) = (limits.egress_mbit, limits.egress_mbit_per_address);
    writeln!(f, "          {all} Mbit/s, {egress} Mbit/s an address")?;
    writeln!(f, "          {} changes of membership a second on demand", limits.membership_changes)?;
    if let Some(groups) = limits.line_groups {
        writeln!(f, "          {groups} groups at once")?;
    }
    if let Some(mbit) = limits.line_mbit {
        writeln!(f, "          {mbit} Mbit/s of channels at once")?;
    }
    writeln!(f, "          {} unread bytes an address", limits.unread_bytes_per_address)
}

fn write_sap(f: &mut fmt::Formatter<'_>, sap: &SapConfig) -> fmt::Result {
    let Rules { origins, sessions, sessions_per_sender, timeout, prefix } = &sap.rules;
    let list = |all: &[String]| all.join(", ");
    let groups: Vec<_> = sap.groups.iter().map(IpAddr::to_string).collect();
    let origins: Vec<_> = origins.iter().map(IpNet::to_string).collect();
    let interface = named(sap.interface.as_ref());
    writeln!(f, "SAP       announced in {}, on {interface}", list(&groups))?;
    writeln!(f, "          by {}, as /{prefix}…", list(&origins))?;
    writeln!(
        f,
        "          {sessions} sessions, {sessions_per_sender} a sender, until {timeout:?} after the last word"
    )?;
    match sap.on_demand {
        Some(linger) => writeln!(f, "          joined while somebody watches, and {linger:?} longer"),
        None => writeln!(f, "          joined at once"),
    }
}

fn write_http(f: &mut fmt::Formatter<'_>, http: &HttpConfig) -> fmt::Result {
    let all = [http.listen.as_slice(), &http.tls_listen].concat();
    let shares = if http.share_ports { "the ports of RTSP" } else { "" };
    let beside = if all.is_empty() || shares.is_empty() { "" } else { ", and " };
    writeln!(f, "HTTP      {}{beside}{shares}", listeners(&all))?;
    if !http.open.is_empty() {
        let open = http.open.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        writeln!(f, "          any group of {open}, {} at a time", http.open_channels)?;
    }
    if !http.tokens.is_empty() {
        writeln!(f, "          {} tokens", http.tokens.len())?;
    }
    Ok(())
}

fn listeners(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

fn ports(ports: UdpPorts) -> String {
    match ports {
        UdpPorts::Any => "any free pairs of ports".into(),
        UdpPorts::Range { first, last } => {
            format!("ports {first}-{last}, {} pairs", ports.rtp_ports().count())
        }
    }
}

fn who_and_where(access: &AccessConfig) -> String {
    let who = match &access.users {
        Some(file) => format!("users of {}", file.display()),
        None => "anybody".to_owned(),
    };
    who + &from_where(&access.networks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::config::tests::write_pair;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn printed(config: Config) -> String {
        Plan { file: PathBuf::from("a.toml"), config }.to_string()
    }

    #[test]
    fn a_plan_notes_what_works_but_worse() {
        let text = "[[channel]]\nname = \"news\"\nsource = \"rtp://224.0.0.9:5004\"\n";
        let config = Config::parse(text, Path::new("a.toml")).expect("it works");
        let plan = printed(config);
        assert!(plan.contains("\nnote      a.toml:3: channel \"news\": 224.0.0.9 is of the block"), "{plan}");
    }

    #[test]
    fn a_plan_tells_whose_announcements_are_taken() {
        let text = "[sap]\nlisten = true\norigins = [\"192.0.2.0/24\"]\ngroups = [\"239.255.255.255\"]\ninterface = \"eth1\"\nannounce = true\n\
                    [[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\nmulticast_out = \"239.2.2.2:5000\"\n";
        let config = Config::parse(text, Path::new("a.toml")).expect("it works");
        let plan = printed(config);
        for part in [
            "SAP       announced in 239.255.255.255, on eth1\n          by 192.0.2.0/24, as /sap/",
            "          64 sessions, 32 a sender, until 3600s after the last word\n",
            "          joined while somebody watches, and 10s longer\n",
            "TTL 1, on the route's interface, all the time, and announced\n",
        ] {
            assert!(plan.contains(part), "{part:?} is not in\n{plan}");
        }
    }

    #[test]
    fn a_plan_tells_who_may_watch_and_from_where() {
        let text = "[access]\nallow = [\"10.0.0.0/8\", \"::1\"]\ndeny = [\"10.6.0.0/16\"]\n[[channel]]\nname = \"news\"\n\
                    source = \"rtp://239.9.9.1:5004\"\npublic = true\nallow = [\"0.0.0.0/0\"]\n";
        let mut config = Config::parse(text, Path::new("a.toml")).expect("it works");
        config.access.users = Some(PathBuf::from("/var/lib/mirrorball/users"));
        let plan = printed(config);
        for part in [
            "access    users of /var/lib/mirrorball/users, from 10.0.0.0/8, ::1/128, not from 10.6.0.0/16\n",
            "    for everybody, from 0.0.0.0/0\n",
        ] {
            assert!(plan.contains(part), "{part:?} is not in\n{plan}");
        }
    }

    #[test]
    fn a_plan_shows_the_legs() {
        let channel = |name: &str, lines: &str| {
            let sources = "[\"rtp://eth0@239.9.9.1:5004\", \"rtp://239.9.10.1:5004\"]";
            format!("[[channel]]\nname = \"{name}\"\nsources = {sources}\n{lines}\n")
        };
        let two = channel("a", "redundancy = \"merge\"")
            + &channel("b", "redundancy = \"failover\"").replace("5004", "5006");
        let plan = printed(Config::parse(&two, Path::new("a.toml")).expect("it works"));
        for part in [
            "    legs are merged: what one has lost another brings, up to 50ms later\n",
            "    video, leg 1 on eth0, from group 239.9.9.1:5004, RTCP on port 5005\n",
            "    video, leg 2, from group 239.9.10.1:5004, RTCP on port 5005\n",
            "another after 500ms of silence or 5 % of loss, the first again after 10s\n",
        ] {
            assert!(plan.contains(part), "{part:?} is not in\n{plan}");
        }
    }

    #[test]
    fn a_plan_tells_what_is_pulled_and_as_whom_without_the_password() {
        let text = "[[channel]]\nname = \"gate\"\nsource = \"rtsp://anna:sesame@10.0.0.7/live?x=sesame\"\ntransport = \"udp\"\n";
        let plan = printed(Config::parse(text, Path::new("a.toml")).expect("it works"));
        let line = "    pulled from rtsp://10.0.0.7:554/live over UDP as anna, silent after 2s\n";
        assert!(plan.contains(line) && !plan.contains("sesame"), "{plan}");
    }

    #[test]
    fn a_plan_names_listeners_channels_and_groups() {
        let text = "[rtsp]\nlisten = [\"0.0.0.0:8554\", \"[::]:8554\"]\ndont_fragment = true\nlearn_ports = \"off\"\ntransports = [\"udp\", \"multicast\"]\n[[channel]]\nname = \"uk/news\"\n\
                    source = \"rtp://10.0.0.7@232.9.9.1:5004\"\ninterface = \"eth1\"\n\
                    coalesce = \"2ms\"\ndscp = 46\nttl = 8\nmulticast_out = \"239.2.2.2:5000\"\nsessions = 300\n\
                    [engine]\nbusy_percent = 30\n[limits]\negress_mbit = 10000\n";
        let config = Config::parse(text, Path::new("mirrorball.toml")).expect("a right config");
        let plan = printed(config);
        for part in [
            "RTSP      0.0.0.0:8554, [::]:8554\n",
            "ports 6970-6999, 15 pairs\n",
            "viewers' ports are those that they name, also behind a NAT\n",
            "media goes by udp, multicast alone\n",
            "http://127.0.0.1:9469/\n",
            "  /uk/news\n",
            "media workers busy for 30 % before packets wait\n",
            "on eth1, silent after 2s\n",
            "packets wait 2ms to be sent together\n",
            "packets say DSCP 46 and TTL 8\n",
            "by multicast to 239.2.2.2:5000 and the ports behind it, TTL 1, on the route's interface, for those who ask\n",
            "packets are dropped that are too large for a path\n",
            "20000 connections, 2000 an address\n",
            "access    anybody\n",
            "20000 sessions, 2000 an address, 20000 a channel\n",
            "10000 Mbit/s, 1000 Mbit/s an address\n",
            "4194304 unread bytes an address\n",
            "    up to 300 sessions\n",
            "from group 232.9.9.1:5004, source 10.0.0.7, RTCP on port 5005\n",
        ] {
            assert!(plan.contains(part), "{part:?} is not in\n{plan}");
        }
    }

    #[test]
    fn a_plan_tells_of_the_pair_and_of_directories() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str| directory.path().join(name);
        write_pair(directory.path());
        fs::set_permissions(file("edge.key"), fs::Permissions::from_mode(0o600)).expect("our own");
        fs::create_dir(file("sessions")).expect("made");
        let text = "[rtsp]\ntls_listen = [\"[::]:8322\"]\ncertificate = \"edge.pem\"\nprivate_key = \"edge.key\"\n\
                    [[channel]]\nname = \"studio\"\ndirectory = \"sessions\"\nsessions = 7\n";
        fs::write(file("mirrorball.toml"), text).expect("a file");
        let plan = plan(&file("mirrorball.toml")).expect("it works").to_string();
        for part in [
            "\nTLS       [::]:8322\n",
            "edge.pem, valid until Sun, 01 Jan 2040 00:00:00 GMT\n",
            "  /studio/...\n    of each .sdp in ",
            "    up to 7 sessions\n",
        ] {
            assert!(plan.contains(part), "{part:?} is not in\n{plan}");
        }
    }
}
