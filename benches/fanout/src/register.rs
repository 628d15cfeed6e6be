//! Many sessions at once: how fast a relay registers them, and what they cost it in memory.

use std::io::Result;
use std::net::SocketAddrV4;

use crate::address_plan::COUNTED_PORT;
use crate::dialogue::{Subscription, Transport, channel_url};
use crate::proc_files;
use crate::rtsp;
use crate::sys;

/// Subscribers of the load that plays meanwhile have the addresses below.
const FIRST_SUBSCRIBER: usize = 10_000;

/// Whom to register, and where.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long)]
    rtsp: SocketAddrV4,
    /// Path of a channel, best one without a source, so that nothing is sent.
    #[arg(long, default_value = "idle")]
    channel: String,
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    #[arg(long)]
    relay_pid: u32,
    #[arg(long)]
    core: Option<usize>,
}

/// Registers all with DESCRIBE, SETUP and PLAY, each on a connection of its own, and prints what it took.
pub fn run(options: &Options) -> Result<()> {
    sys::raise_descriptor_limit(options.count as u64 + 256)?;
    if let Some(core) = options.core {
        sys::pin_to_core(core)?;
    }
    let url = channel_url(options.rtsp, &options.channel);
    let subscription =
        |index| Subscription::new(FIRST_SUBSCRIBER + index, url.clone(), Transport::Udp, COUNTED_PORT);
    let wanted = (0..options.count).map(subscription).collect();
    let resident = proc_files::resident_bytes(options.relay_pid);
    let relay_ns = proc_files::cpu_used_ns(options.relay_pid);
    let began_ns = sys::monotonic_ns();
    let sessions = rtsp::register(options.rtsp, wanted, Transport::Udp)?;
    let seconds = (sys::monotonic_ns() - began_ns) as f64 / 1e9;
    let grown = proc_files::resident_bytes(options.relay_pid).saturating_sub(resident);
    let relay_seconds = (proc_files::cpu_used_ns(options.relay_pid) - relay_ns) as f64 / 1e9;
    let report = serde_json::json!({
        "registered": sessions.len(),
        "seconds": seconds,
        "per_second": sessions.len() as f64 / seconds,
        "relay_cpu": relay_seconds / seconds,
        "view_cpu": sys::cpu_used_ns() as f64 / 1e9 / seconds,
        "resident_bytes_per_session": grown / sessions.len().max(1) as u64,
    });
    println!("{report}");
    Ok(())
}
