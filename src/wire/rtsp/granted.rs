//! The Transport header of a reply to SETUP (RFC 2326 section 12.39), as a client reads it.
//!
//! Parameters that it does not need are passed over, however they are written.

use std::net::IpAddr;

/// What a server granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// How the packets come.
    pub delivery: GrantedDelivery,
    /// The address that they come from, where the server says one.
    pub source: Option<IpAddr>,
}

/// How packets come from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantedDelivery {
    /// Over UDP.
    Udp {
        /// The server's ports for RTP and RTCP, where it says them.
        server_ports: Option<(u16, u16)>,
    },
    /// In the RTSP connection.
    Interleaved {
        /// The channel of RTP.
        rtp_channel: u8,
        /// The channel of RTCP.
        rtcp_channel: u8,
    },
}

impl Granted {
    /// Reads the value of the header. None if it says nothing usable: no RTP, or TCP without channels.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut parameters = value.split(',').next()?.split(';').map(str::trim);
        let specification = parameters.next()?.to_ascii_uppercase();
        if !specification.starts_with("RTP/") {
            return None;
        }
        let (mut server_ports, mut channels, mut source) = (None, None, None);
        for (name, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "server_port" => server_ports = pair(value, u16::checked_add),
                "interleaved" => channels = pair(value, u8::checked_add),
                "source" => source = value.trim().trim_matches(['"', '[', ']']).parse().ok(),
                _ => {}
            }
        }
        let delivery = match channels {
            Some((rtp_channel, rtcp_channel)) => GrantedDelivery::Interleaved { rtp_channel, rtcp_channel },
            None if specification.ends_with("/TCP") => return None,
            None => GrantedDelivery::Udp { server_ports },
        };
        Some(Self { delivery, source })
    }
}

/// Two numbers as `a-b`; a lone `a` is followed by the next one.
fn pair<N: std::str::FromStr + Copy + From<u8>>(text: &str, add: fn(N, N) -> Option<N>) -> Option<(N, N)> {
    let (first, second) = match text.split_once('-') {
        Some((first, second)) => (first, Some(second)),
        None => (text, None),
    };
    let first: N = first.trim().parse().ok()?;
    let second = match second {
        Some(second) => second.trim().parse().ok()?,
        None => add(first, N::from(1))?,
    };
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(server_ports: Option<(u16, u16)>) -> Option<GrantedDelivery> {
        Some(GrantedDelivery::Udp { server_ports })
    }

    fn interleaved(rtp_channel: u8, rtcp_channel: u8) -> Option<GrantedDelivery> {
        Some(GrantedDelivery::Interleaved { rtp_channel, rtcp_channel })
    }

    #[test]
    fn as_servers_grant_it() {
        for (header, expected) in [
            (
                "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971;mode=\"PLAY\"",
                udp(Some((6970, 6971))),
            ),
            ("RTP/AVP/UDP;unicast;destination=127.0.0.1;server_port=6970", udp(Some((6970, 6971)))),
            ("RTP/AVP;unicast;client_port=5000-5001;ssrc=0BADF00D", udp(None)),
            ("RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=12", interleaved(0, 1)),
            ("rtp/avp/tcp;Interleaved=254", interleaved(254, 255)),
            ("RTP/AVP;unicast;server_port=x", udp(None)),
            ("RTP/AVP/TCP;unicast", None),
            ("RTP/AVP/TCP;interleaved=255", None),
            ("RAW/RAW/UDP;unicast", None),
            ("", None),
        ] {
            assert_eq!(Granted::parse(header).map(|granted| granted.delivery), expected, "{header}");
        }
    }

    #[test]
    fn the_source_may_be_any_address_and_a_name_is_passed_over() {
        let source = |text: &str| Granted::parse(&format!("RTP/AVP;source={text}")).expect("granted").source;
        assert_eq!(source("192.0.2.1"), Some([192, 0, 2, 1].into()));
        assert_eq!(source("\"[::1]\""), "::1".parse().ok());
        assert_eq!(source("edge.example"), None);
    }
}
