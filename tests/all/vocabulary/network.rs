//! A network of a story's own: a fresh network namespace with nothing but loopback. Likewise a disk.
//!
//! Sockets and processes of the story's thread, and of threads it starts, are in it; it is gone when they
//! are. It takes root; what can not be had is said, and is a failure where stories are told at full length.

use std::fs::{self, File};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;

use mirrorball::net::interface_index;
use nix::sched::{CloneFlags, setns, unshare};
use socket2::SockRef;
use tempfile::TempDir;

use super::patience::{is_thorough, say};

/// What a story can not be told without.
pub struct Needs {
    pub programs: &'static [&'static str],
    /// Whether programs that join and send by route find one on loopback.
    pub route: bool,
    pub ipv6: bool,
}

/// Tells a story in a network of its own, or says why not.
pub fn in_a_network_of_its_own(name: &str, needs: &Needs, story: impl FnOnce() + Send) {
    if needs.ipv6 && !Path::new("/proc/net/if_inet6").exists() {
        return skip(name, "this machine has no IPv6");
    }
    if let Some(missing) = needs.programs.iter().find(|program| !is_there(program)) {
        return skip(name, &format!("{missing} is not installed"));
    }
    let told = thread::scope(|scope| {
        let own = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespace: {error}"))?;
            run("ip", &["link", "set", "lo", "up"])?;
            if needs.route {
                run("ip", &["route", "add", "239.0.0.0/8", "dev", "lo"])?;
            }
            story();
            Ok::<_, String>(())
        });
        own.join()
    });
    conclude(name, told);
}

/// An interface of this network, with an address.
pub struct Plug {
    pub name: &'static str,
    pub address: Ipv4Addr,
}

impl Plug {
    /// Plugs it in: from here on it is there.
    pub fn plug_in(&self) {
        let far = self.far();
        ip(&["link", "add", self.name, "type", "veth", "peer", "name", &far]);
        self.add_address();
        ip(&["link", "set", self.name, "up"]);
        ip(&["link", "set", &far, "up"]);
    }

    /// The name of its cable's other end, which nothing listens at.
    pub fn far(&self) -> String {
        format!("{}-far", self.name)
    }

    /// Leads all multicast over it from now on.
    pub fn take_route(&self) {
        ip(&["route", "replace", "224.0.0.0/4", "dev", self.name]);
    }

    /// Leads multicast nowhere.
    pub fn drop_route(&self) {
        ip(&["route", "delete", "224.0.0.0/4"]);
    }

    /// Speaks this version of IGMP alone.
    pub fn speak_igmp(&self, version: u8) {
        let setting = format!("/proc/sys/net/ipv4/conf/{}/force_igmp_version", self.name);
        fs::write(setting, version.to_string()).expect("a setting of this network");
    }

    /// Whether anyone on this machine has joined a group on it.
    pub fn has_joined(&self, group: Ipv4Addr) -> bool {
        // `/proc/net` is that of the process, whose network is another one.
        let groups = fs::read_to_string("/proc/thread-self/net/igmp").expect("Linux tells");
        let group = format!("{:08X}", u32::from_ne_bytes(group.octets()));
        let mut here = false;
        groups.lines().skip(1).any(|line| {
            let mut words = line.split_whitespace();
            if line.starts_with(char::is_numeric) {
                here = words.nth(1) == Some(self.name);
                return false;
            }
            here && words.next() == Some(group.as_str())
        })
    }

    /// Takes its address away, or gives it back. What has its others stays connected.
    pub fn remove_address(&self) {
        ip(&["address", "delete", &format!("{}/24", self.address), "dev", self.name]);
    }

    pub fn add_address(&self) {
        ip(&["address", "add", &format!("{}/24", self.address), "dev", self.name]);
    }

    /// Lets this machine stand in for other hosts of its network.
    pub fn impersonate(&self, hosts: &[Ipv4Addr]) {
        hosts.iter().for_each(|host| ip(&["address", "add", &format!("{host}/24"), "dev", self.name]));
    }

    /// The hosts are gone: nobody answers there any more. Up to so many bytes are kept for each that is looked for.
    pub fn lose(&self, hosts: &[Ipv4Addr], kept_bytes: u32) {
        let setting = format!("/proc/sys/net/ipv4/neigh/{}/unres_qlen_bytes", self.name);
        fs::write(setting, kept_bytes.to_string()).expect("a setting of this network");
        hosts.iter().for_each(|host| ip(&["address", "delete", &format!("{host}/24"), "dev", self.name]));
    }

    /// The hosts are where nobody looks for them, behind a link that takes next to nothing and whose queue is short.
    pub fn throttle(&self, hosts: &[Ipv4Addr]) {
        for host in hosts {
            ip(&["address", "delete", &format!("{host}/24"), "dev", self.name]);
            know_neighbour(*host, self.name);
        }
        let queue = ["tbf", "rate", "100kbit", "burst", "2kb", "limit", "4kb"];
        let shape = [&["qdisc", "add", "dev", self.name, "root"][..], &queue].concat();
        run("tc", &shape).expect("tc does as it is told");
    }

    /// Gives it an address of IPv6 too, which can be used at once.
    pub fn add_ipv6(&self, address: Ipv6Addr) {
        ip(&["address", "add", &format!("{address}/64"), "dev", self.name, "nodad"]);
    }

    /// Multicasts bytes on it, over IPv6.
    pub fn send_over_ipv6(&self, bytes: &[u8], to: SocketAddrV6) {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).expect("a socket to send from");
        let options = SockRef::from(&socket);
        options.set_multicast_if_v6(interface_index(self.name).expect("plugged in")).expect("an interface");
        options.set_multicast_loop_v6(true).expect("multicast on this machine");
        socket.send_to(bytes, to).expect("the interface takes packets");
    }

    /// Pulls its cable, or puts it in again.
    pub fn connect(&self, is_in: bool) {
        ip(&["link", "set", &self.far(), if is_in { "up" } else { "down" }]);
    }

    /// Switches it off, or on again.
    pub fn switch(&self, is_on: bool) {
        ip(&["link", "set", self.name, if is_on { "up" } else { "down" }]);
    }

    /// Takes it away, and all that the kernel knew of it.
    pub fn unplug(&self) {
        ip(&["link", "delete", self.name]);
    }
}

/// Another network, beside the story's own. It is gone when this and all that was opened there are.
pub struct Network(File);

impl Network {
    /// One with nothing but loopback.
    pub fn new() -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("as the story's own");
            run("ip", &["link", "set", "lo", "up"]).expect("ip does as it is told");
            File::open("/proc/thread-self/ns/net").expect("Linux")
        });
        Self(made.join().expect("a network"))
    }

    /// Does something there. Sockets that it opens stay there.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let there = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET).expect("a network");
            act()
        };
        thread::scope(|scope| scope.spawn(there).join())
            .unwrap_or_else(|failure| panic::resume_unwind(failure))
    }

    /// Lays a cable from this network, where it is called `near`, to that one. Its ends have these addresses, with the
    /// length of their prefix, and take packets of this size.
    pub fn connect(&self, near: (&str, &str), far: (&str, &str), mtu: u32) {
        let there = format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd());
        ip(&["link", "add", near.0, "type", "veth", "peer", "name", far.0]);
        ip(&["link", "set", far.0, "netns", &there]);
        bring_up(near, mtu);
        self.within(|| bring_up(far, mtu));
    }

    /// Passes packets on from one of its cables to another.
    pub fn forward(&self) {
        let settings = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];
        self.within(|| settings.iter().for_each(|setting| drop(fs::write(setting, "1"))));
    }
}

/// Leads what goes to these addresses over a router.
pub fn route(to: &str, via: &str) {
    ip(&["route", "add", to, "via", via]);
}

/// Knows where a host of an interface's network is, which need not be there.
pub fn know_neighbour(host: Ipv4Addr, interface: &str) {
    let lladdr = "02:00:00:00:00:01";
    ip(&["neighbour", "add", &host.to_string(), "lladdr", lladdr, "dev", interface, "nud", "permanent"]);
}

/// Has an interface take packets of this size.
pub fn set_mtu(interface: &str, mtu: u32) {
    ip(&["link", "set", interface, "mtu", &mtu.to_string()]);
}

fn bring_up((name, address): (&str, &str), mtu: u32) {
    let at_once: &[_] = if address.contains(':') { &["nodad"] } else { &[] };
    ip(&[&["address", "add", address, "dev", name][..], at_once].concat());
    set_mtu(name, mtu);
    ip(&["link", "set", name, "up"]);
}

/// A NAT on what leaves this network by an interface: ports are others outside, and nothing comes in unasked.
#[track_caller]
pub fn masquerade(interface: &str) {
    nft("add table ip nat");
    nft("add chain ip nat out { type nat hook postrouting priority 100 ; }");
    nft(&format!("add rule ip nat out oifname \"{interface}\" masquerade fully-random"));
}

/// From here on no UDP is passed on from one cable of this network to another.
#[track_caller]
pub fn pass_no_udp() {
    nft("add table inet pass");
    nft("add chain inet pass on { type filter hook forward priority 0 ; }");
    nft("add rule inet pass on meta l4proto udp drop");
}

/// A firewall on what leaves this network, that lets everything pass.
#[track_caller]
pub fn raise_firewall() {
    nft("add table inet story");
    nft("add chain inet story out { type filter hook output priority 0 ; }");
}

/// From here on what goes to a UDP port is dropped.
#[track_caller]
pub fn block_udp_port(port: u16) {
    nft(&format!("add rule inet story out udp dport {port} drop"));
}

/// From here on what comes to a TCP port is dropped: as it leaves, the kernel would know and send it again soon.
#[track_caller]
pub fn block_tcp_port(port: u16) {
    nft("add chain inet story in { type filter hook input priority 0 ; }");
    nft(&format!("add rule inet story in tcp dport {port} drop"));
}

/// From here on so many in a hundred of what comes from a UDP port are lost, by chance, as they arrive.
#[track_caller]
pub fn lose(port: u16, percent: u32) {
    nft("add table inet story");
    nft("add chain inet story in { type filter hook input priority 0 ; }");
    let lost = format!("udp sport {port} numgen random mod 100 < {percent} counter");
    nft(&format!("add rule inet story in {lost} drop comment \"lost\""));
}

/// How many have been lost so.
#[track_caller]
pub fn lost() -> u64 {
    counter("in", "lost", "packets ")
}

/// From here on nobody hears from this network that packets were too large.
#[track_caller]
pub fn swallow_icmp() {
    nft("add rule inet story out icmp type destination-unreachable drop");
}

/// Everything passes again.
#[track_caller]
pub fn unblock_all() {
    nft("flush table inet story");
}

/// From here on what leaves, and is as nft's words say, is counted under a name.
#[track_caller]
pub fn count(name: &str, matching: &str) {
    nft(&format!("add rule inet story out {matching} counter comment \"{name}\""));
}

/// How many packets were counted under a name, runs of segments as one.
#[track_caller]
pub fn counted(name: &str) -> u64 {
    counter("out", name, "packets ")
}

/// And how many bytes they had, with their IP headers.
#[track_caller]
pub fn counted_bytes(name: &str) -> u64 {
    counter("out", name, "bytes ")
}

#[track_caller]
fn counter(chain: &str, name: &str, of: &str) -> u64 {
    let rules = output("nft", &[&format!("list chain inet story {chain}")]).expect("nft tells");
    let comment = format!("comment \"{name}\"");
    let rule = rules.lines().find(|rule| rule.contains(&comment)).expect("a rule of that name");
    let figures = rule.split_once(" counter ").map_or("", |(_, figures)| figures);
    let figure = figures.split_once(of).and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    figure.expect("a number")
}

#[track_caller]
fn nft(command: &str) {
    run("nft", &[command]).expect("nft does as it is told");
}

#[track_caller]
fn ip(arguments: &[&str]) {
    run("ip", arguments).expect("ip does as it is told");
}

/// Tells a story with a disk of its own, of so many KiB, or says why not.
pub fn with_a_disk_of_its_own(name: &str, kib: u32, story: impl FnOnce(&Path) + Send) {
    let told = thread::scope(|scope| {
        let own = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("no mount namespace: {error}"))?;
            let disk = TempDir::new().map_err(|error| error.to_string())?;
            let path = disk.path().to_str().ok_or("a plain path")?;
            run("mount", &["--make-rprivate", "/"])?;
            run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "none", path])?;
            story(disk.path());
            run("umount", &["--lazy", path])
        });
        own.join()
    });
    conclude(name, told);
}

#[track_caller]
fn conclude(name: &str, told: thread::Result<Result<(), String>>) {
    match told {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => skip(name, &reason),
        Err(failure) => panic::resume_unwind(failure),
    }
}

/// Says that a story can not be told here, which is a failure where it has to be.
#[track_caller]
pub fn skip(name: &str, reason: &str) {
    assert!(!is_thorough(), "{name} can not be told: {reason}");
    say(&format!("skipped: {name}: {reason}"));
}

/// Whether a program is installed.
pub fn is_there(program: &str) -> bool {
    let dirs = std::env::var("PATH").unwrap_or_default();
    dirs.split(':').chain(["/usr/sbin", "/sbin"]).any(|dir| Path::new(dir).join(program).is_file())
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    output(program, arguments).map(drop)
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let command = Command::new(program).args(arguments).env("PATH", path).stdin(Stdio::null()).output();
    let output = command.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
