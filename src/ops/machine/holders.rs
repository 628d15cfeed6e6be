//! Who has a port now: of which program it is, and whether that is Mirrorball itself.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::process;

use nix::unistd::Uid;
use procfs::net::{TcpState, tcp, tcp6, udp, udp6};
use procfs::process::{FDTarget, Process, all_processes};

use super::super::config::user_name;

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Sockets that listen.
    Tcp,
    /// Sockets that are bound.
    Udp,
}

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Mirrorball, in another process than this one.
    Itself {
        /// Its process.
        pid: i32,
    },
    /// Another program.
    Other {
        /// Its name, as the kernel has it.
        name: String,
        /// Its process.
        pid: i32,
    },
    /// One whose process is not to be seen by us.
    Hidden {
        /// Whose it is.
        user: String,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself { pid } => write!(f, "the Mirrorball that runs (pid {pid})"),
            Self::Other { name, pid } => write!(f, "{name} (pid {pid})"),
            Self::Hidden { user } => write!(f, "a program of user {user} that is not to be seen from here"),
        }
    }
}

/// A socket that keeps others from a port.
#[derive(Debug, Clone)]
struct Socket {
    at: SocketAddr,
    uid: u32,
    inode: u64,
}

/// All who have ports in this network, as far as they are to be seen.
pub struct Holders {
    /// By transport and port.
    sockets: HashMap<(Transport, u16), Vec<Socket>>,
    /// By inode of the socket, the process and its name.
    processes: HashMap<u64, (i32, String)>,
    /// What this program is called.
    own_name: String,
}

impl Holders {
    /// Those of now.
    pub fn now() -> Self {
        let own = Process::myself().and_then(|own| own.stat());
        let own_name = own.map(|own| own.comm).unwrap_or_default();
        Self { sockets: sockets(), processes: processes(), own_name }
    }

    /// Who keeps others from a port of an address, if somebody is seen to.
    pub fn of(&self, transport: Transport, at: SocketAddr) -> Option<Holder> {
        let taken = self.sockets.get(&(transport, at.port())).into_iter().flatten();
        let found = taken.filter(|socket| overlap(socket.at.ip(), at.ip()));
        // One of the very address is the likelier reason.
        let socket = found.min_by_key(|socket| socket.at.ip() != at.ip())?;
        Some(self.holder(socket))
    }

    fn holder(&self, socket: &Socket) -> Holder {
        match self.processes.get(&socket.inode) {
            Some((pid, name)) if *name == self.own_name && *pid != own_pid() => Holder::Itself { pid: *pid },
            Some((pid, name)) => Holder::Other { name: name.clone(), pid: *pid },
            None => Holder::Hidden { user: user_name(Uid::from_raw(socket.uid)) },
        }
    }
}

fn own_pid() -> i32 {
    i32::try_from(process::id()).unwrap_or_default()
}

/// Whether sockets at two addresses are in each other's way on one port. Whether one of all IPv6 addresses is of all IPv4 ones too,
/// nobody tells.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let (one, other) = (one.to_canonical(), other.to_canonical());
    let is_any_of_both = |ip: IpAddr| ip.is_ipv6() && ip.is_unspecified();
    let is_same_family = one.is_ipv4() == other.is_ipv4();
    one == other
        || is_same_family && (one.is_unspecified() || other.is_unspecified())
        || is_any_of_both(one)
        || is_any_of_both(other)
}

fn sockets() -> HashMap<(Transport, u16), Vec<Socket>> {
    let mut found = HashMap::<_, Vec<_>>::new();
    let mut add = |transport, at: SocketAddr, uid, inode| {
        found.entry((transport, at.port())).or_default().push(Socket { at, uid, inode });
    };
    for entry in [tcp(), tcp6()].into_iter().flatten().flatten() {
        if entry.state == TcpState::Listen {
            add(Transport::Tcp, entry.local_address, entry.uid, entry.inode);
        }
    }
    for entry in [udp(), udp6()].into_iter().flatten().flatten() {
        add(Transport::Udp, entry.local_address, entry.uid, entry.inode);
    }
    found
}

/// Of processes that we may not look into nothing is known.
fn processes() -> HashMap<u64, (i32, String)> {
    let mut found = HashMap::new();
    for process in all_processes().into_iter().flatten().flatten() {
        let Ok(descriptors) = process.fd() else { continue };
        let sockets = descriptors.flatten().filter_map(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => Some(inode),
            _ => None,
        });
        let Ok(name) = process.stat().map(|stat| stat.comm) else { continue };
        found.extend(sockets.map(|inode| (inode, (process.pid, name.clone()))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

    #[test]
    fn addresses_are_in_each_others_way_where_one_is_of_all() {
        let overlap =
            |one: &str, other: &str| overlap(one.parse().expect("right"), other.parse().expect("right"));
        for (one, other, is) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("0.0.0.0", "127.0.0.2", true),
            ("127.0.0.1", "0.0.0.0", true),
            ("::", "127.0.0.1", true),
            ("::1", "127.0.0.1", false),
            ("::1", "0.0.0.0", false),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(overlap(one, other), is, "{one} and {other}");
        }
    }

    #[test]
    fn who_has_a_port_is_found_by_the_socket() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (tcp, udp) = (listener.local_addr().expect("bound"), socket.local_addr().expect("bound"));
        let mut holders = Holders::now();
        for (transport, at) in [(Transport::Tcp, tcp), (Transport::Udp, udp)] {
            let holder = holders.of(transport, at).expect("we have it");
            assert!(matches!(&holder, Holder::Other { pid, .. } if *pid == own_pid()), "{holder:?}");
        }
        assert_eq!(holders.of(Transport::Tcp, SocketAddr::new(tcp.ip(), 1)), None);

        // The same where it is another process of this name, and where nobody knows whose it is.
        holders.processes.values_mut().filter(|(pid, _)| *pid == own_pid()).for_each(|process| process.0 = 1);
        assert_eq!(holders.of(Transport::Tcp, tcp), Some(Holder::Itself { pid: 1 }));
        holders.processes.clear();
        let holder = holders.of(Transport::Tcp, tcp).expect("a socket");
        assert_eq!(holder, Holder::Hidden { user: user_name(nix::unistd::getuid()) });
    }
}
