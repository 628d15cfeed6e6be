//! Whether senders on several cores need a socket each: runs to many destinations, as fast as the kernel takes
//! them, over one socket or over several.

use std::io::{Error, Result};
use std::net::SocketAddrV4;
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};

use crate::address_plan;
use crate::sys::{self, FanOut};

const PACKET_BYTES: u16 = 1328;
/// About what a hold of 5 ms gathers of a stream of 8.5 Mb/s.
const PACKETS_PER_RUN: usize = 5;
const DESTINATIONS_PER_THREAD: usize = 500;

/// How to send.
#[derive(clap::Args)]
pub struct Options {
    /// One thread a core, from the first one on.
    #[arg(long)]
    threads: usize,
    /// So many of them share a socket.
    #[arg(long)]
    share: usize,
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

/// Sends; prints a row of Markdown.
pub fn run(options: &Options) -> Result<()> {
    let sockets = (0..options.threads.div_ceil(options.share.max(1)))
        .map(|_| Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)))
        .collect::<Result<Vec<_>>>()?;
    let until_ns = sys::monotonic_ns() + options.seconds * 1_000_000_000;
    let messages = thread::scope(|scope| {
        let senders: Vec<_> = (0..options.threads)
            .map(|core| {
                let socket = &sockets[core / options.share.max(1)];
                scope.spawn(move || send(socket, core, until_ns))
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| Error::other("a sender panicked"))?)
            .sum::<Result<u64>>()
    })?;
    let (each, cpu_us) = (messages / options.seconds, sys::cpu_used_ns() as f64 / 1e3 / messages as f64);
    println!("| {} | {} | {each} | {cpu_us:.2} |", options.threads, sockets.len());
    Ok(())
}

fn send(socket: &Socket, core: usize, until_ns: u64) -> Result<u64> {
    sys::pin_to_core(core)?;
    let first = core * DESTINATIONS_PER_THREAD;
    let destinations: Vec<_> = (first..first + DESTINATIONS_PER_THREAD)
        .map(|index| SocketAddrV4::new(address_plan::subscriber(index), address_plan::COUNTED_PORT))
        .collect();
    let mut fan_out = FanOut::new(&destinations);
    let packets = vec![0; PACKETS_PER_RUN * usize::from(PACKET_BYTES)];
    let mut messages = 0;
    while sys::monotonic_ns() < until_ns {
        messages += fan_out.send(socket, &packets, PACKET_BYTES)?.messages;
    }
    Ok(messages)
}
