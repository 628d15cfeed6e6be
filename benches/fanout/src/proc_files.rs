//! What the kernel tells of other processes under `/proc`. What cannot be read counts as zero.

use std::collections::BTreeMap;
use std::fs;

/// Ticks a second of the times in `/proc`, the same on all Linux platforms.
const NS_PER_TICK: u64 = 10_000_000;

/// User and system time of a process so far.
pub fn cpu_used_ns(pid: u32) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0 };
    // The name stands in brackets and may hold anything; utime and stime are the 12th and 13th behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        * NS_PER_TICK
}

/// Time on a processor of all living threads of a process, by name; those that differ by a number are one.
pub fn threads_used_ns(pid: u32) -> BTreeMap<String, u64> {
    let mut used_ns = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let read = |file: &str| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
        let spent = read("schedstat").split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        *used_ns.entry(unnumbered(&read("comm")).to_owned()).or_insert(0) += spent;
    }
    used_ns
}

/// The name of a thread without its number.
fn unnumbered(name: &str) -> &str {
    name.trim().trim_end_matches(|last: char| last.is_ascii_digit()).trim_end_matches('-')
}

/// Datagrams that were read, in the network namespace of a process.
pub fn received(pid: u32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/net/snmp")) else { return 0 };
    column(&text, "Udp:", "InDatagrams").unwrap_or(0)
}

/// Those of several cores.
pub fn softirq_threads(cores: &[usize]) -> Vec<u32> {
    cores.iter().filter_map(|&core| softirq_thread(core)).collect()
}

/// The kernel thread that does a core's network work when there is too much of it for its callers.
pub fn softirq_thread(core: usize) -> Option<u32> {
    let name = format!("ksoftirqd/{core}");
    fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .find(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name))
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Datagrams that were dropped at full receive buffers, in the network namespace of a process.
pub fn receive_drops(pid: u32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/net/snmp")) else { return 0 };
    column(&text, "Udp:", "RcvbufErrors").unwrap_or(0)
}

/// A value of the file's pairs of lines: names, then values.
fn column(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.split_whitespace().next() == Some(protocol));
    let index = lines.next()?.split_whitespace().position(|word| word == name)?;
    lines.next()?.split_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_found_by_its_name() {
        let text = "Tcp: A B\nTcp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 9 7\nUdpLite: RcvbufErrors\nUdpLite: 3\n";
        assert_eq!(column(text, "Udp:", "RcvbufErrors"), Some(7));
        assert_eq!(column(text, "Udp:", "Nothing"), None);
    }

    #[test]
    fn threads_are_told_by_name_without_their_number() {
        assert_eq!(
            (unnumbered("poll-media-12\n"), unnumbered("admin\n"), unnumbered("7")),
            ("poll-media", "admin", "")
        );
        assert!(threads_used_ns(std::process::id()).values().sum::<u64>() > 0);
    }

    #[test]
    fn this_process_is_resident() {
        assert!(resident_bytes(std::process::id()) > 0);
    }
}
