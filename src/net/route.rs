//! Where the kernel would join a group: the route to it, asked for by rtnetlink as `ip route get` does.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

/// No route to a group is known.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// There is none.
    #[error(
        "no route leads to {group} ({error}); name the channel's interface, or add a route for multicast"
    )]
    NoRoute {
        /// The group.
        group: IpAddr,
        /// The kernel's answer.
        error: io::Error,
    },
    /// The kernel can not be asked now.
    #[error("the route to {0} can not be looked up: {1}")]
    NotAsked(IpAddr, #[source] io::Error),
}

/// Who asks for routes: by one socket, for as long as it answers.
#[derive(Default)]
pub struct RouteAsker {
    socket: Option<Socket>,
}

impl RouteAsker {
    /// The index of the interface that the route to a group leads to; 0, the kernel's choice, where the program may
    /// never ask (a sandbox without netlink).
    pub fn interface_towards(&mut self, group: IpAddr) -> Result<u32, RouteError> {
        match self.ask(group) {
            Ok(Answer::Interface(index)) => Ok(index),
            Ok(Answer::NoRoute(error)) => Err(RouteError::NoRoute { group, error }),
            Err(error) if is_for_good(&error) => {
                tracing::debug!(%group, %error, "the kernel tells no route");
                Ok(0)
            }
            Err(error) => Err(RouteError::NotAsked(group, error)),
        }
    }

    fn ask(&mut self, group: IpAddr) -> io::Result<Answer> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => connected()?,
        };
        let answer = ask(&socket, group)?;
        // Kept only after a whole answer: what came late would answer the next question.
        self.socket = Some(socket);
        Ok(answer)
    }
}

fn connected() -> io::Result<Socket> {
    let socket = Socket::new(NETLINK_ROUTE)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    // The kernel answers within the call that asks.
    socket.set_non_blocking(true)?;
    Ok(socket)
}

fn is_for_good(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(
        code,
        Some(Errno::EPERM | Errno::EACCES | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::ENOSYS)
    )
}

enum Answer {
    Interface(u32),
    NoRoute(io::Error),
}

fn ask(socket: &Socket, group: IpAddr) -> io::Result<Answer> {
    let mut message = RouteMessage::default();
    (message.header.address_family, message.header.destination_prefix_length) = match group {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(group)));
    let mut request = NetlinkMessage::from(RouteNetlinkMessage::GetRoute(message));
    request.header.flags = NLM_F_REQUEST;
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let (bytes, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).map_err(io::Error::other)?;
    match answer.payload {
        NetlinkPayload::Error(error) => Ok(Answer::NoRoute(error.to_io())),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
            let index = route.attributes.into_iter().find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(index),
                _ => None,
            });
            index.map(Answer::Interface).ok_or_else(|| io::Error::other("a route without an interface"))
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::interface_index;
    use std::net::Ipv4Addr;

    #[test]
    fn one_socket_asks_for_all_routes() {
        let lo = interface_index("lo").expect("loopback");
        let mut asker = RouteAsker::default();
        let own = |asker: &mut RouteAsker| {
            let port = |socket: &Socket| {
                let mut address = SocketAddr::new(0, 0);
                socket.get_address(&mut address).expect("a bound socket");
                address.port_number()
            };
            asker.interface_towards(Ipv4Addr::LOCALHOST.into()).map(|_| asker.socket.as_ref().map(port))
        };
        assert_eq!(asker.interface_towards(Ipv4Addr::LOCALHOST.into()).expect("a route"), lo);
        let first = own(&mut asker).expect("a route");
        assert!(first.is_some());
        assert_eq!(own(&mut asker).expect("a route"), first);
    }
}
