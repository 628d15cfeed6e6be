//! The source: marked packets to one group or many, each at its due time.
//!
//! Deadlines are absolute, so a late wake-up moves no later packet. Channels are offset to each other, so
//! many of them make an even load; each may send in bursts of its own.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::mark::{Mark, Pattern, Shape};
use crate::sys::{self, Scatter};

/// Deadlines closer than this are served by one wake-up.
const SHORTEST_SLEEP_NS: u64 = 100_000;
const MESSAGES_PER_CALL: usize = 64;

/// What to send.
#[derive(clap::Args)]
pub struct Options {
    /// Address of the interface to send from.
    #[arg(long)]
    interface: Ipv4Addr,
    #[arg(long, default_value_t = 1)]
    channels: usize,
    /// Ports that the channels' groups are spread over.
    #[arg(long, default_value_t = 1)]
    ports: usize,
    /// Packets a second, of each channel.
    #[arg(long, default_value_t = 800)]
    rate: u64,
    /// Packets of a channel that are sent at once.
    #[arg(long, default_value_t = 1)]
    burst: u64,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    #[arg(long, value_enum, default_value_t = Shape::Ts)]
    shape: Shape,
    /// Packets from one where a decoder could start to the next: about half a second at the usual rate.
    #[arg(long, default_value_t = 400)]
    group: u64,
    #[arg(long)]
    core: Option<usize>,
}

/// Sends until the time is over or SIGTERM comes.
pub fn run(options: &Options) -> Result<()> {
    sys::stop_on_terminate();
    if let Some(core) = options.core {
        sys::pin_to_core(core)?;
    }
    if let Err(error) = sys::run_first() {
        eprintln!("source: runs at the usual priority, so its pace suffers from other programs: {error}");
    }
    let socket = open(options.interface)?;
    let schedule = Schedule::new(options);
    let pattern = Pattern { frame: options.rate / 25, group: options.group };
    let mut scatter = Scatter::new(MESSAGES_PER_CALL);
    for turn in 0..schedule.turns {
        let due_ns = schedule.due_ns(turn);
        if due_ns > sys::monotonic_ns() {
            scatter.send(&socket)?;
            sys::sleep_until_ns(due_ns.max(sys::monotonic_ns() + SHORTEST_SLEEP_NS));
        }
        if sys::stop_requested() {
            break;
        }
        let mark = schedule.mark(turn, sys::monotonic_ns());
        let group = address_plan::group(mark.channel as usize, options.ports);
        scatter.push(&group, |packet| mark.write(options.shape, pattern, packet));
        if scatter.is_full() {
            scatter.send(&socket)?;
        }
    }
    scatter.send(&socket).map(drop)
}

/// Which packet of which channel is due when: turns go round the channels, a burst each.
struct Schedule {
    began_ns: u64,
    interval_ns: u64,
    channels: u64,
    burst: u64,
    turns: u64,
}

impl Schedule {
    fn new(options: &Options) -> Self {
        let (channels, rate) = (options.channels.max(1) as u64, options.rate.max(1));
        Self {
            began_ns: sys::monotonic_ns() + 10_000_000,
            interval_ns: 1_000_000_000 / rate,
            channels,
            burst: options.burst.max(1),
            turns: options.seconds * rate * channels,
        }
    }

    fn due_ns(&self, turn: u64) -> u64 {
        let bursts = turn / self.burst;
        self.began_ns + bursts * self.burst * self.interval_ns / self.channels
    }

    fn mark(&self, turn: u64, sent_ns: u64) -> Mark {
        let bursts = turn / self.burst;
        let (round, channel) = (bursts / self.channels, bursts % self.channels);
        let number = round * self.burst + turn % self.burst;
        Mark { number, sent_ns, began_ns: self.began_ns, interval_ns: self.interval_ns, channel }
    }
}

/// A socket that multicasts from an interface.
pub fn open(interface: Ipv4Addr) -> Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // What a veth peer has merged counts as unsent until it is read.
    socket.set_send_buffer_size(8 << 20)?;
    socket.bind(&SocketAddrV4::new(interface, 0).into())?;
    socket.set_multicast_if_v4(&interface)?;
    socket.set_multicast_ttl_v4(4)?;
    socket.set_multicast_loop_v4(false)?;
    Ok(socket)
}
