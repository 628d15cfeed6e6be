//! What the stories are told with.
//!
//! ```text
//!  Source ─▶ multicast on lo ─▶ Mirrorball (the real program) ─▶ Viewer, or a Crowd of them
//!                                     └─ /metrics ─▶ expect_metric
//! ```

mod bare;
mod browser;
mod carriers;
mod cgroup;
mod connection;
mod crowd;
mod detour;
mod document;
pub mod film;
mod lie;
mod metrics;
mod mirrorball;
mod network;
mod patience;
mod pictures;
mod prometheus;
mod quiet;
mod source;
mod still;
mod tape;
mod town;
mod viewer;
mod web;
mod wire;

pub use bare::{Bare, ts_packets};
pub use browser::{Browser, ENTER, TAB, axe};
pub use carriers::{Carrier, fresh_cookie, join, read_head, send_get, send_post, through_tls, tunnel};
pub use cgroup::Cgroup;
pub use connection::{Connection, Reply};
pub use crowd::{Crowd, Tally};
pub use detour::Detour;
pub use document::{Row, Table};
pub use mirrorball::{Mirrorball, READS, Setup, WRITES, binary, certificate, certificate_for};
pub use network::{
    Needs, Network, Plug, block_tcp_port, block_udp_port, count, counted, counted_bytes,
    in_a_network_of_its_own, is_there, know_neighbour, lose, lost, raise_firewall, route, set_mtu, skip,
    swallow_icmp, unblock_all, with_a_disk_of_its_own,
};
pub use patience::{eventually, is_thorough, passes, say};
pub use pictures::Pictures;
pub use prometheus::Prometheus;
pub use quiet::{Quiet, demo_by_demo};
pub use source::{Beam, Group, Source, Stamp, bye, is_goodbye, sender_report};
pub use tape::{Kept, Tape, storage_in};
pub use town::Town;
pub use viewer::{Medium, Over, Viewer, datagram, parameter, receiver_report, report, report_of_loss};
pub use web::Web;
pub use wire::{Told, Wire};
