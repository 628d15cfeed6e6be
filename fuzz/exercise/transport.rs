//! What must hold for any Transport header. `super::wire` is the crate's wire floor.

use super::wire::rtsp::transport::{self, Delivery, Refused, Transport};

fn parse(header: &str) -> Result<Transport, Refused> {
    transport::parse(header, |_| true)
}

pub fn exercise(header: &[u8]) {
    let Ok(asked) = parse(&String::from_utf8_lossy(header)) else { return };
    let granted = match asked.delivery {
        Delivery::Udp { client_rtp_port, client_rtcp_port } => {
            assert!(client_rtp_port > 0 && client_rtcp_port > 0);
            Transport::udp_reply(asked.profile, (client_rtp_port, client_rtcp_port), (6970, 6971))
        }
        Delivery::Raw { client_port } => {
            assert!(client_port > 0);
            Transport::raw_reply(asked.profile, client_port, 6970)
        }
        Delivery::Multicast => {
            Transport::multicast_reply(asked.profile, [239, 2, 2, 2].into(), (5000, 5001), 1)
        }
        Delivery::Interleaved { channels: Some(channels) } => {
            assert_ne!(channels.0, channels.1);
            Transport::interleaved_reply(asked.profile, channels)
        }
        Delivery::Interleaved { channels: None } => return,
    };
    assert_eq!(parse(&granted), Ok(asked), "what is granted reads as what was asked");
}
