//! What the kernel drops of UDP before any socket sees it, as it counts it for this network of the machine.

use std::fs;

/// Since the machine, or its network, was started. Where the kernel does not tell, 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KernelDrops {
    /// Datagrams of IPv4 with a wrong checksum.
    pub udp_checksum: u64,
    /// Datagrams of IPv6 with one.
    pub udp6_checksum: u64,
    /// Packets that came by another interface than their sender would be answered by (rp_filter).
    pub reverse_path: u64,
}

impl KernelDrops {
    /// As of now.
    pub fn read() -> Self {
        let file = |name| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
        Self {
            udp_checksum: column(&file("snmp"), "Udp:", "InCsumErrors"),
            udp6_checksum: line(&file("snmp6"), "Udp6InCsumErrors"),
            reverse_path: column(&file("netstat"), "TcpExt:", "IPReversePathFilter"),
        }
    }

    /// By the reasons of metrics.
    pub fn by_reason(self) -> [(&'static str, u64); 3] {
        [
            ("udp_checksum", self.udp_checksum),
            ("udp6_checksum", self.udp6_checksum),
            ("rp_filter", self.reverse_path),
        ]
    }
}

/// A line of names, and one of values below it.
fn column(table: &str, group: &str, name: &str) -> u64 {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix(group));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    pairs.find(|(of, _)| *of == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

fn line(table: &str, name: &str) -> u64 {
    let mut pairs = table.lines().filter_map(|line| line.split_once(char::is_whitespace));
    pairs.find(|(of, _)| *of == name).and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_names() {
        let snmp = "Ip: Forwarding InCsumErrors\nIp: 1 7\nUdp: InDatagrams InCsumErrors\nUdp: 5 3\nUdpLite: InCsumErrors\nUdpLite: 9\n";
        assert_eq!(column(snmp, "Udp:", "InCsumErrors"), 3);
        assert_eq!(column(snmp, "Udp:", "NoSuch"), 0);
        assert_eq!(column("", "Udp:", "InCsumErrors"), 0);
        let snmp6 = "Icmp6InCsumErrors               \t1\nUdp6InCsumErrors                \t4\n";
        assert_eq!(line(snmp6, "Udp6InCsumErrors"), 4);
        assert_eq!(line("", "Udp6InCsumErrors"), 0);
    }
}
