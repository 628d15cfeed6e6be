//! The bare relay loop: what all relays are measured against. No sessions, no accounting, no safety.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::bare_tcp::TcpOut;
use crate::bare_udp::UdpOut;
use crate::sys::{self, Epoll, Gather};

const RECEIVE_BUFFER_BYTES: usize = 32 << 20;
const PACKET_BYTES: usize = 2048;
const PACKETS_PER_CALL: usize = 64;
/// Packets of one batch: more than a second of one channel.
const PACKETS_PER_BATCH: usize = 1024;

/// What to relay, and how.
#[derive(clap::Args)]
pub struct Options {
    /// Address of the interface that groups are joined on.
    #[arg(long)]
    pub interface: Ipv4Addr,
    #[arg(long, default_value_t = 1)]
    pub channels: usize,
    /// Ports that the channels' groups are spread over.
    #[arg(long, default_value_t = 1)]
    ports: usize,
    /// Subscribers of all channels together.
    #[arg(long)]
    pub subscribers: usize,
    /// Milliseconds to wait for more packets after the first of a batch.
    #[arg(long, default_value_t = 0.0)]
    pub hold: f64,
    /// Threads that share the subscribers.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Sends over TCP connections, which are accepted on this port before anything is relayed.
    #[arg(long)]
    tcp: Option<u16>,
}

/// Relays until SIGTERM; then prints what it used.
pub fn run(options: &Options) -> Result<()> {
    sys::stop_on_terminate();
    let sockets = options.subscribers + options.threads * (options.channels + 2);
    sys::raise_descriptor_limit(sockets as u64 + 64)?;
    let (packets, refused) = match options.tcp {
        Some(port) => relay_all(options, TcpOut::accept(options, port)?)?,
        None => relay_all(options, UdpOut::open(options)?)?,
    };
    let seconds = sys::cpu_used_ns() as f64 / 1e9;
    println!("bare: {packets} packets sent, {refused} refused, {seconds:.3} s of CPU");
    Ok(())
}

/// A batch: packets one after the other, and their sizes.
#[derive(Default)]
pub struct Batch {
    /// All packets without gaps.
    pub bytes: Vec<u8>,
    /// The size of each.
    pub sizes: Vec<u16>,
}

/// Where batches go.
pub trait Out {
    /// Whether a channel has subscribers here.
    fn serves(&self, channel: usize) -> bool;

    /// Sends a batch to all subscribers of a channel; gives packets sent and refused.
    fn send(&mut self, channel: usize, batch: &Batch) -> Result<(u64, u64)>;
}

/// A loop for each way out, on a thread of its own. Each joins its channels with sockets of its own, so two loops
/// receive each packet twice: a microsecond, and they share nothing. To receive once and hand the batch over would
/// take a lock and a wake-up for each, and one thread would wait for the other.
fn relay_all(options: &Options, outs: Vec<impl Out + Send>) -> Result<(u64, u64)> {
    let relay_and_stop = |mut out| {
        let totals = relay(options, &mut out);
        sys::request_stop(); // if one fails, all end
        totals
    };
    thread::scope(|scope| {
        let loops: Vec<_> = outs.into_iter().map(|out| scope.spawn(move || relay_and_stop(out))).collect();
        loops.into_iter().try_fold((0, 0), |(packets, refused), each| {
            let (more, more_refused) = each.join().map_err(|_| Error::other("bare: a loop panicked"))??;
            Ok((packets + more, refused + more_refused))
        })
    })
}

/// The loop: the first packet of a channel starts its hold; what is there when it ends goes out.
fn relay(options: &Options, out: &mut impl Out) -> Result<(u64, u64)> {
    let hold_ns = (options.hold * 1e6) as u64;
    let served = (0..options.channels).filter(|&channel| out.serves(channel));
    let sockets: Vec<(usize, Socket)> =
        served.map(|channel| Ok((channel, join(options, channel)?))).collect::<Result<_>>()?;
    let mut epoll = Epoll::new(256)?;
    for (place, (_, socket)) in sockets.iter().enumerate() {
        epoll.add(socket, place as u64, Epoll::READABLE | Epoll::ONCE)?;
    }
    let mut gather = Gather::new(PACKETS_PER_CALL, PACKET_BYTES);
    let (mut batch, mut due, mut totals) = (Batch::default(), VecDeque::new(), (0, 0));
    while !sys::stop_requested() {
        let now_ns = sys::monotonic_ns();
        let Some(&(_, place)) = due.front().filter(|(due_ns, _)| *due_ns <= now_ns) else {
            let wait_ns = due.front().map_or(100_000_000, |(due_ns, _)| due_ns - now_ns);
            let ready = epoll.wait(wait_ns)?;
            let due_ns = sys::monotonic_ns() + hold_ns;
            due.extend(ready.map(|token| (due_ns, token as usize)));
            continue;
        };
        due.pop_front();
        let (channel, socket) = &sockets[place];
        take(socket, &mut gather, &mut batch)?;
        let (sent, refused) = out.send(*channel, &batch)?;
        totals = (totals.0 + sent, totals.1 + refused);
        epoll.rearm(socket, place as u64, Epoll::READABLE | Epoll::ONCE)?;
    }
    Ok(totals)
}

fn take(socket: &Socket, gather: &mut Gather, batch: &mut Batch) -> Result<()> {
    batch.bytes.clear();
    batch.sizes.clear();
    loop {
        let count = match gather.receive(socket) {
            Err(error) if error.kind() != ErrorKind::ConnectionRefused => return Err(error),
            result => result.unwrap_or(0),
        };
        for packet in gather.datagrams(count) {
            batch.bytes.extend_from_slice(packet.head);
            batch.sizes.push(packet.head.len() as u16);
        }
        if count < gather.slots() || batch.sizes.len() >= PACKETS_PER_BATCH {
            return Ok(());
        }
    }
}

fn join(options: &Options, channel: usize) -> Result<Socket> {
    let group = address_plan::group(channel, options.ports);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    sys::force_receive_buffer(&socket, RECEIVE_BUFFER_BYTES)?;
    socket.bind(&SocketAddrV4::new(*group.ip(), group.port()).into())?;
    socket.join_multicast_v4(group.ip(), &options.interface)?;
    Ok(socket)
}
