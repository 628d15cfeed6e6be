//! The course of all starts: each at a moment of its own, by chance that is the same in every run.

use std::fs;
use std::io::{Error, Result};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::thread;

use crate::sys;

use super::capture::Carrier;
use super::viewer::{self, Target};

/// Moments are spread over this much time for each start.
const SPACE_NS: u64 = 500_000_000;

/// What to start, and how often.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long)]
    server: SocketAddrV4,
    #[arg(long)]
    channel: String,
    #[arg(long, value_enum)]
    carrier: Carrier,
    #[arg(long, default_value_t = 100)]
    starts: usize,
    /// Seconds that each of them stays.
    #[arg(long, default_value_t = 4.0)]
    stay: f64,
    #[arg(long, default_value_t = 14)]
    seed: u64,
    /// Where to keep what comes.
    #[arg(long)]
    into: PathBuf,
    #[arg(long)]
    core: Option<usize>,
}

/// Starts them all, and keeps what came to each.
pub fn run(options: &Options) -> Result<()> {
    sys::raise_descriptor_limit(options.starts as u64 * 4 + 64)?;
    if let Some(core) = options.core {
        sys::pin_to_core(core)?;
    }
    fs::create_dir_all(&options.into)?;
    let target = Target {
        server: options.server,
        channel: &options.channel,
        carrier: options.carrier,
        stay_ns: (options.stay * 1e9) as u64,
    };
    let began_ns = sys::monotonic_ns();
    thread::scope(|scope| {
        let moments = moments(options.starts, options.seed);
        let starts: Vec<_> = moments
            .into_iter()
            .enumerate()
            .map(|(index, moment_ns)| {
                sys::sleep_until_ns(began_ns + moment_ns);
                scope.spawn(move || -> Result<()> {
                    let name = options.into.join(format!("{}-{index:04}", options.carrier.name()));
                    viewer::start(target, index)?.save(&name)
                })
            })
            .collect();
        starts.into_iter().try_for_each(|start| start.join().map_err(|_| Error::other("a start panicked"))?)
    })
}

/// When they start, in order.
fn moments(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed;
    let mut moments: Vec<u64> =
        (0..count).map(|_| splitmix(&mut state) % (count as u64 * SPACE_NS)).collect();
    moments.sort_unstable();
    moments
}

/// SplitMix64.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_by_chance_and_the_same_each_time() {
        let first = moments(100, 14);
        assert_eq!((first.len(), &first), (100, &moments(100, 14)));
        assert_ne!(first, moments(100, 15));
        assert!(first.is_sorted() && first[99] < 100 * SPACE_NS);
        let in_first_half_of_two_seconds =
            first.iter().filter(|&&moment_ns| moment_ns % 2_000_000_000 < 1_000_000_000).count();
        assert!((35..65).contains(&in_first_half_of_two_seconds));
    }
}
