//! The film: a transport stream from a file, sent as RTP at the pace of its own clock.

use std::fs;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

use crate::source;
use crate::sys;

use super::transport_stream::{PACKET_BYTES, bytes_per_second};

const BYTES_PER_DATAGRAM: usize = 7 * PACKET_BYTES;
const PAYLOAD_TYPE: u8 = 33;
const SSRC: u32 = 0x4d42_f111;

/// What to send, and where to.
#[derive(clap::Args)]
pub struct Options {
    /// MPEG-TS of a constant rate.
    #[arg(long)]
    file: PathBuf,
    #[arg(long)]
    group: SocketAddrV4,
    /// Address of the interface to send from.
    #[arg(long)]
    interface: Ipv4Addr,
    #[arg(long)]
    core: Option<usize>,
}

/// Sends until the film is over or SIGTERM comes.
pub fn run(options: &Options) -> Result<()> {
    sys::stop_on_terminate();
    if let Some(core) = options.core {
        sys::pin_to_core(core)?;
    }
    if let Err(error) = sys::run_first() {
        eprintln!("film: runs at the usual priority, so its pace suffers from other programs: {error}");
    }
    let film = fs::read(&options.file)?;
    let rate = bytes_per_second(&film).ok_or_else(|| Error::other("film: its clock is not told"))?;
    let socket = source::open(options.interface)?;
    let began_ns = sys::monotonic_ns();
    for (number, payload) in film.chunks(BYTES_PER_DATAGRAM).enumerate() {
        let due_s = (number * BYTES_PER_DATAGRAM) as f64 / rate;
        sys::sleep_until_ns(began_ns + (due_s * 1e9) as u64);
        if sys::stop_requested() {
            break;
        }
        let mut datagram = vec![0x80, PAYLOAD_TYPE];
        datagram.extend((number as u16).to_be_bytes());
        datagram.extend(((due_s * 90_000.0) as u32).to_be_bytes());
        datagram.extend(SSRC.to_be_bytes());
        datagram.extend_from_slice(payload);
        socket.send_to(&datagram, &options.group.into())?;
    }
    Ok(())
}
