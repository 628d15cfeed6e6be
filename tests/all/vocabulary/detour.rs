//! A Detour: a way to a Mirrorball that takes its time in each direction, and loses nothing of its own accord. It needs no kernel that
//! holds packets back: a forwarder with a foot in each of two networks does.
//!
//! ```text
//!   this network:  Mirrorball ◀─▶ 127.0.0.1, the player's ports │ held │ 127.0.0.1, Mirrorball's ports ◀─▶ player  :the far one
//! ```

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mirrorball::event::clock;
use socket2::SockRef;

use super::mirrorball::Mirrorball;
use super::network::Network;

/// So often a forwarder looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);
const MOST_BYTES: usize = 65_536;
const BUFFER_BYTES: usize = 4 << 20;

pub struct Detour {
    /// Where players are.
    pub far: Network,
    over: Arc<AtomicBool>,
}

/// What all of its parts share.
#[derive(Clone)]
struct Way {
    delay: Duration,
    over: Arc<AtomicBool>,
    /// Mirrorball's RTP and RTCP, as the far network sees them.
    doors: [(u16, Arc<UdpSocket>); 2],
    /// The player's ports, as Mirrorball sees them.
    players: Arc<Mutex<HashMap<u16, Arc<UdpSocket>>>>,
}

impl Detour {
    /// One to a Mirrorball whose media leave by this port and, for RTCP, the next; each direction takes so long.
    pub fn to(mirrorball: &Mirrorball, rtp_port: u16, delay: Duration) -> Self {
        let (far, rtsp) = (Network::new(), mirrorball.rtsp);
        let door = |port| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("a network of its own");
            (port, Arc::new(socket))
        };
        let (listener, doors) = far.within(|| {
            (TcpListener::bind(rtsp).expect("a network of its own"), [rtp_port, rtp_port + 1].map(door))
        });
        let over = Arc::<AtomicBool>::default();
        let way = Way { delay, over: over.clone(), doors, players: Arc::default() };
        for (port, door) in way.doors.clone() {
            let (players, server) = (way.players.clone(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
            way.lead(door, move |packet, from| {
                let player = players.lock().expect("no panic").get(&from.port()).cloned();
                player.into_iter().for_each(|player| drop(player.send_to(packet, server)));
            });
        }
        thread::spawn(move || {
            listener.set_nonblocking(true).expect("Linux");
            while !way.over.load(Relaxed) {
                match listener.accept() {
                    Ok((player, _)) => way.carry(player, rtsp),
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        Self { far, over }
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

impl Way {
    /// Carries a connection, and opens the ports that are asked for in it.
    fn carry(&self, player: TcpStream, rtsp: SocketAddr) {
        player.set_nonblocking(false).expect("Linux");
        let Ok(server) = TcpStream::connect(rtsp) else { return };
        let ends = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
        let way = self.clone();
        self.pour(ends(&player), ends(&server), move |bytes| way.open_ports(bytes));
        self.pour(server, player, |_| ());
    }

    fn pour(&self, mut from: TcpStream, mut to: TcpStream, look: impl Fn(&[u8]) + Send + 'static) {
        let held = self.hold(move |bytes: Vec<u8>| drop(to.write_all(&bytes)));
        thread::spawn(move || {
            let mut bytes = vec![0; MOST_BYTES];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                look(&bytes[..read]);
                held(bytes[..read].to_vec());
            }
            let _ = from.shutdown(Shutdown::Both);
        });
    }

    /// Leads on what comes to a socket.
    fn lead(&self, socket: Arc<UdpSocket>, on: impl Fn(&[u8], SocketAddr) + Send + 'static) {
        socket.set_read_timeout(Some(LOOK)).expect("a time");
        SockRef::from(&*socket).set_recv_buffer_size(BUFFER_BYTES).expect("a buffer");
        let held = self.hold(move |(packet, from): (Vec<u8>, SocketAddr)| on(&packet, from));
        let over = self.over.clone();
        thread::spawn(move || {
            let mut bytes = vec![0; MOST_BYTES];
            while !over.load(Relaxed) {
                if let Ok((read, from)) = socket.recv_from(&mut bytes) {
                    held((bytes[..read].to_vec(), from));
                }
            }
        });
    }

    /// Does with each what is to be done, when its time on the way is over; in the order in which they came.
    fn hold<T: Send + 'static>(
        &self,
        mut act: impl FnMut(T) + Send + 'static,
    ) -> impl Fn(T) + Send + 'static {
        let (delay, (sender, receiver)) = (self.delay, mpsc::channel::<(Instant, T)>());
        thread::spawn(move || {
            for (due, what) in receiver {
                thread::sleep(due.saturating_duration_since(clock::now()));
                act(what);
            }
        });
        move |what| drop(sender.send((clock::now() + delay, what)))
    }

    /// The player listens at ports that it names in its SETUP: those are Mirrorball's to send to.
    fn open_ports(&self, request: &[u8]) {
        let request = String::from_utf8_lossy(request);
        for asked in request.split("client_port=").skip(1) {
            let ports = asked.split(|char: char| !char.is_ascii_digit()).take(2);
            for (port, (_, door)) in ports.filter_map(|port| port.parse().ok()).zip(&self.doors) {
                self.open_port(port, door.clone());
            }
        }
    }

    fn open_port(&self, port: u16, door: Arc<UdpSocket>) {
        let mut players = self.players.lock().expect("no panic");
        if players.contains_key(&port) {
            return;
        }
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("the player's port"));
        players.insert(port, socket.clone());
        let player = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        self.lead(socket, move |packet, _| drop(door.send_to(packet, player)));
    }
}
