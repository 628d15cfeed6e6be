//! One track of one subscriber, and the way it comes: a pair of UDP sockets, or two channels of the connection.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::event::clock;
use crate::net::{Datagram, ServerPair, plain};
use crate::wire::rtsp::{Granted, GrantedDelivery, Method, Wish, interleaved_header};

use super::context::Context;
use super::track::Track;
use super::{Delivery, Failure};

/// A track and the way it comes.
pub struct Leg {
    /// What came of it.
    pub track: Track,
    route: Route,
}

enum Route {
    Udp(Box<Sockets>),
    Interleaved { rtp_channel: u8, rtcp_channel: u8 },
}

struct Sockets {
    pair: ServerPair,
    /// Datagrams that the kernel had dropped from the RTP socket when it was last read.
    overflow: u32,
    /// The addresses that media may come from: the server's own, and the one it names.
    from: [IpAddr; 2],
    /// The server's ports for RTP and RTCP, where it names them.
    ports: Option<(u16, u16)>,
}

/// What travels on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Media.
    Rtp,
    /// Reports.
    Rtcp,
}

impl Leg {
    /// Makes the way for track number `index`, and says what to ask the server for. The events of its sockets will
    /// be those of `token`, plus 2n + 1 for RTP and 2n + 2 for RTCP.
    pub fn open(
        index: usize,
        clock_rate: Option<u32>,
        token: u64,
        cx: &Context<'_>,
    ) -> Result<(Self, Wish), Failure> {
        let (route, wish) = match cx.plan.delivery {
            Delivery::Tcp => {
                let rtp_channel = 2 * index as u8; // a description has at most 32 tracks
                let rtcp_channel = rtp_channel + 1;
                (
                    Route::Interleaved { rtp_channel, rtcp_channel },
                    Wish::Interleaved(rtp_channel, rtcp_channel),
                )
            }
            Delivery::Udp => {
                let pair = cx.ports.open().map_err(|error| Failure::Ports(plain(&error)))?;
                for (socket, place) in [(&pair.rtp, 1), (&pair.rtcp, 2)] {
                    let event = EpollEvent::new(EpollFlags::EPOLLIN, token + 2 * index as u64 + place);
                    cx.epoll.add(socket, event).map_err(|error| Failure::Ports(error.desc().to_owned()))?;
                }
                let wish = Wish::Udp(pair.port, pair.port + 1); // the pair is of an even port and the next
                let from = [cx.server.ip(); 2];
                (Route::Udp(Box::new(Sockets { pair, overflow: 0, from, ports: None })), wish)
            }
        };
        Ok((Self { track: Track::new(clock_rate), route }, wish))
    }

    /// Goes by what the server granted.
    pub fn granted(&mut self, granted: &Granted, server: SocketAddr) -> Result<(), Failure> {
        match (&mut self.route, granted.delivery) {
            (Route::Udp(sockets), GrantedDelivery::Udp { server_ports }) => {
                sockets.from = [server.ip(), granted.source.unwrap_or(server.ip())];
                sockets.ports = server_ports;
                sockets.open_the_way();
            }
            (
                route @ Route::Interleaved { .. },
                GrantedDelivery::Interleaved { rtp_channel, rtcp_channel },
            ) => {
                *route = Route::Interleaved { rtp_channel, rtcp_channel };
            }
            _ => return Err(Failure::Answer(Method::Setup, "grants another transport than was asked for")),
        }
        Ok(())
    }

    /// What a channel of the connection carries of this track.
    pub fn carried_by(&self, channel: u8) -> Option<Carries> {
        match self.route {
            Route::Interleaved { rtp_channel, .. } if rtp_channel == channel => Some(Carries::Rtp),
            Route::Interleaved { rtcp_channel, .. } if rtcp_channel == channel => Some(Carries::Rtcp),
            _ => None,
        }
    }

    /// Takes a batch from one of the sockets. Returns whether media came.
    pub fn receive(&mut self, what: Carries, cx: &mut Context<'_>) -> bool {
        let Route::Udp(sockets) = &mut self.route else { return false };
        let Sockets { pair, overflow, from, ports } = &mut **sockets;
        let port = ports.map(|(rtp, rtcp)| if what == Carries::Rtp { rtp } else { rtcp });
        let Context { batch, tally, now, .. } = cx;
        // What a socket fails with is gone with the call; a datagram that went with it counts as lost.
        let Ok(_) = batch.receive(socket_of(pair, what)) else { return false };
        *now = clock::monotonic();
        let is_expected = |datagram: &Datagram<'_>| {
            from.contains(&datagram.source.ip()) && port.is_none_or(|port| port == datagram.source.port())
        };
        let mut media_came = false;
        for datagram in batch.datagrams() {
            if let Some(count) = datagram.overflow {
                tally.overflow += u64::from(count.wrapping_sub(*overflow));
                *overflow = count;
            }
            match what {
                _ if !is_expected(&datagram) => tally.strays += 1,
                Carries::Rtcp => self.track.receive_rtcp(datagram.payload, *now),
                Carries::Rtp => {
                    self.track.receive_rtp(datagram.payload, *now, tally);
                    media_came = true;
                }
            }
        }
        media_came
    }

    /// Takes a batch from one of the sockets and drops it: until the server has stopped sending, a socket that is
    /// left full would not let the worker wait.
    pub fn discard(&self, what: Carries, cx: &mut Context<'_>) {
        if let Route::Udp(sockets) = &self.route {
            let _ = cx.batch.receive(socket_of(&sockets.pair, what));
        }
    }

    /// Sends the receiver report that is due, or returns it as a frame for the connection.
    pub fn report(&mut self, ssrc: u32, now: Duration) -> Option<Vec<u8>> {
        let report = self.track.report(ssrc, now)?;
        match &self.route {
            Route::Udp(sockets) => {
                if let Some((_, rtcp_port)) = sockets.ports {
                    // A report that is lost is followed by the next one.
                    let _ = sockets.pair.rtcp.send_to(&report, SocketAddr::new(sockets.from[1], rtcp_port));
                }
                None
            }
            Route::Interleaved { rtcp_channel, .. } => {
                // A report has less than 100 bytes.
                Some([&interleaved_header(*rtcp_channel, report.len() as u16)[..], &report].concat())
            }
        }
    }
}

impl Sockets {
    /// Sends nothing to the server's ports, as players do: through a firewall the answer to that comes in, and through a NAT
    /// it shows where we are.
    fn open_the_way(&self) {
        if let Some((rtp, rtcp)) = self.ports {
            // What is lost of it is not missed where there is nothing in between.
            let _ = self.pair.rtp.send_to(&[], SocketAddr::new(self.from[1], rtp));
            let _ = self.pair.rtcp.send_to(&[], SocketAddr::new(self.from[1], rtcp));
        }
    }
}

fn socket_of(pair: &ServerPair, what: Carries) -> &UdpSocket {
    match what {
        Carries::Rtp => &pair.rtp,
        Carries::Rtcp => &pair.rtcp,
    }
}
