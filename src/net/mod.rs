//! Sockets and system calls, and the only `unsafe` of the program. Knows no protocol above UDP and TCP.
//!
//! `nix` and `socket2` do what they can. The two calls of the data path, `recvmmsg` and `sendmmsg`, are
//! made here by hand: theirs allocate per call, and take one set of control messages for a whole batch.

mod address;
mod buffers;
mod client;
mod clock_state;
mod control;
mod descriptors;
mod group_protocol;
mod half_open;
mod host;
mod interface;
mod kernel_drops;
mod link_events;
mod membership;
mod membership_filter;
mod passing;
mod path_mtu;
mod peer;
mod priority;
mod punches;
mod receive;
mod refusals;
mod route;
mod send;
mod server;
mod to_group;

pub use buffers::{Buffers, QueueFill, RECEIVE_BUFFER_BYTES, SEND_BUFFER_BYTES, granted_buffers};
pub use client::{connect, plain, receiving_pair};
pub use clock_state::clock_is_synchronised;
pub use control::{Control, Marks};
pub use descriptors::{SpareDescriptor, descriptor_limit, in_turn, is_passing, open_descriptors};
pub use group_protocol::{GroupProtocol, igmp_versions, reverse_path_filter};
pub use host::counted_as;
pub use interface::{
    InterfaceError, Link, address_for_others, interface_addresses, interface_index, interface_is_there,
    interface_name, is_of_this_machine, link,
};
pub use kernel_drops::KernelDrops;
pub use link_events::{Changes, LinkEvents};
pub use membership::{Group, MembershipError, ReceiveSocket, any_beside, bound_for};
pub use membership_filter::{Turned, mean_any};
pub use passing::{MOST_DESCRIPTORS, Passage};
pub use path_mtu::{PathAsker, forbid_fragments, forbids_fragments};
pub use peer::{Progress, VANISHED_AFTER, allow_pauses, mark_connection, progress};
pub use priority::lower_priority;
pub use punches::{keep_senders, send_only, take_senders};
pub use receive::{Datagram, ReceiveBatch};
pub use refusals::take_refusals;
pub use route::{RouteAsker, RouteError};
pub use send::{Destination, Position, Refusal, Refused, SendReport, Sender, segments, split_run};
pub use server::{ServerPair, bind_pair, listen, open_beside, send_buffer, try_listen, with_port, with_room};
pub use to_group::{leave_by, open_to_group};
