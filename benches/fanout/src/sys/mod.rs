//! System calls that std lacks, behind safe functions: the only `unsafe` of the benchmark.
//!
//! ```text
//!  clock      monotonic time, absolute sleep, CPU used by this process
//!  process    core, priorities, descriptor limit, SIGTERM as a flag, SIGKILL
//!  epoll      readiness with nanosecond time-outs
//!  fan_out    one run to many destinations: sendmmsg and UDP_SEGMENT
//!  scatter    many messages to many destinations: sendmmsg
//!  send_from  one datagram from one of many addresses: IP_PKTINFO
//!  gather     many datagrams in one call: recvmmsg, UDP_GRO, destination, arrival time
//! ```
#![allow(unsafe_code)]

mod clock;
mod epoll;
mod fan_out;
mod gather;
mod process;
mod scatter;
mod send_from;

pub use clock::{cpu_used_ns, monotonic_ns, realtime_ahead_ns, sleep_until_ns};
pub use epoll::Epoll;
pub use fan_out::FanOut;
pub use gather::{
    Datagram, Gather, force_receive_buffer, want_arrival_times, want_destinations, want_whole_runs,
};
pub use process::{
    kill, pin_to_core, raise_descriptor_limit, request_stop, run_first, run_last, stop_on_terminate,
    stop_requested,
};
pub use scatter::Scatter;
pub use send_from::send_from;
