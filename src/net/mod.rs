//! Sockets and system calls, and the only `unsafe` of the program. Knows no protocol above UDP and TCP.
//!
//! `nix` and `socket2` do what they can. The two calls of the data path, `recvmmsg` and `sendmmsg`, are
//! made here by hand: theirs allocate per call, and take one set of control messages for a whole batch.

mod address;
mod interface;
mod membership;
mod priority;
mod receive;
mod route;
mod send;
mod server;

pub use interface::{InterfaceError, interface_index, interface_is_there};
pub use membership::{Group, MembershipError, ReceiveSocket};
pub use priority::lower_priority;
pub use receive::{Datagram, ReceiveBatch};
pub use route::{RouteError, interface_towards};
pub use send::{Destination, Position, SendReport, Sender, segments, split_run};
pub use server::{
    ServerPair, bind_pair, leave_unread, listen, open_beside, send_buffer, with_port, with_room,
};
