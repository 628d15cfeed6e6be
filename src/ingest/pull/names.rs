//! Names of hosts, looked up on threads of their own: the system's resolver blocks, and what it waits for has no bound
//! that is ours. The threads are started for names that wait, up to a few; addresses need none. A host is looked up once at a
//! time, whoever asks for it, so that one without an answer holds up one thread.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, Weak};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::event::{Priority, lock, spawn};

/// Questions that wait; each server waits for one.
const MOST: usize = 4096;
/// Hosts that are looked up at a time.
const MOST_THREADS: usize = 4;

/// Where a host is, or why that is not known.
pub(super) type Addresses = Result<Vec<IpAddr>, String>;
/// What a host's name has led to, once it is known. Who lets go of it asks no more.
pub(super) type Found = Arc<Mutex<Option<Addresses>>>;
type LookUp = fn(&str) -> Addresses;

/// The threads, and what they are asked.
pub(super) struct Names {
    desk: Arc<Mutex<Desk>>,
    look_up: LookUp,
}

#[derive(Default)]
struct Desk {
    /// Who asks, by hosts that are looked up or wait for it.
    asked: BTreeMap<String, Vec<Asker>>,
    hosts: Option<(Sender<String>, Receiver<String>)>,
    threads: usize,
}

struct Asker {
    found: Weak<Mutex<Option<Addresses>>>,
    tell: Box<dyn FnOnce() + Send>,
}

impl Default for Names {
    fn default() -> Self {
        Self { desk: Arc::default(), look_up: of_the_system }
    }
}

impl Names {
    /// Looks a host up; who asks is told when it is known, unless it is at once.
    pub fn find(&self, host: &str, tell: impl FnOnce() + Send + 'static) -> Found {
        let bare = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return known(Ok(vec![address]));
        }
        let found = Found::default();
        let asker = Asker { found: Arc::downgrade(&found), tell: Box::new(tell) };
        match self.ask(bare, asker) {
            Ok(()) => found,
            Err(error) => known(Err(error.to_string())),
        }
    }

    /// The threads end with what they look up now. Nobody waits for that.
    pub fn stop(&self) {
        let before = std::mem::take(&mut *lock(&self.desk));
        drop(before); // outside the lock: whoever asked goes with it
    }

    fn ask(&self, host: &str, asker: Asker) -> io::Result<()> {
        let mut desk = lock(&self.desk);
        if desk.asked.values().map(Vec::len).sum::<usize>() >= MOST {
            return Err(io::Error::other("too many names are looked up"));
        }
        if let Some(askers) = desk.asked.get_mut(host) {
            askers.retain(Asker::is_there);
            askers.push(asker);
            return Ok(());
        }
        let (sender, receiver) = desk.hosts.get_or_insert_with(|| bounded(MOST)).clone();
        if desk.threads < MOST_THREADS.min(desk.asked.len() + 1) {
            let (its_desk, look_up) = (self.desk.clone(), self.look_up);
            spawn("names".to_owned(), Priority::Low, move || serve(&receiver, &its_desk, look_up))?;
            desk.threads += 1;
        }
        desk.asked.insert(host.to_owned(), vec![asker]);
        let _ = sender.try_send(host.to_owned()); // there is room: no host waits twice
        Ok(())
    }
}

impl Asker {
    fn is_there(&self) -> bool {
        self.found.strong_count() > 0
    }
}

fn known(found: Addresses) -> Found {
    Arc::new(Mutex::new(Some(found)))
}

fn serve(hosts: &Receiver<String>, desk: &Mutex<Desk>, look_up: LookUp) {
    for host in hosts {
        // Those who have waited for too long ask no more, or again.
        let is_wanted = |askers: &Vec<Asker>| askers.iter().any(Asker::is_there);
        let unwanted = {
            let mut desk = lock(desk);
            let is_wanted = desk.asked.get(&host).is_some_and(is_wanted);
            if is_wanted { None } else { Some(desk.asked.remove(&host)) }
        };
        if unwanted.is_some() {
            continue;
        }
        let addresses = look_up(&host);
        let askers = lock(desk).asked.remove(&host).unwrap_or_default();
        for Asker { found, tell } in askers {
            if let Some(found) = found.upgrade() {
                *lock(&found) = Some(addresses.clone());
                tell();
            }
        }
    }
}

fn of_the_system(host: &str) -> Addresses {
    let found = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    let addresses: Vec<_> = found.map(|address: SocketAddr| address.ip()).collect();
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::sync::mpsc::{Receiver, channel};
    use std::thread::sleep;
    use std::time::Duration;

    const LONG: Duration = Duration::from_secs(30);
    const HERE: Addresses = Ok(Vec::new());

    /// Asks for a host; what is received is that it is known.
    fn ask(names: &Names, host: &str) -> (Found, Receiver<()>) {
        let (sender, told) = channel();
        let tell = move || {
            let _ = sender.send(());
        };
        (names.find(host, tell), told)
    }

    #[test]
    fn addresses_are_known_at_once_and_names_are_told() {
        let names = Names::default();
        for (host, address) in [("192.0.2.1", "192.0.2.1"), ("[::1]", "::1"), ("::1", "::1")] {
            let found = names.find(host, || panic!("it is known"));
            let found = lock(&found).clone();
            assert_eq!(found, Some(Ok(vec![address.parse().expect("an address")])));
        }
        assert_eq!(lock(&names.desk).threads, 0, "no thread is needed for them");
        let (found, told) = ask(&names, "localhost");
        told.recv_timeout(LONG).expect("told");
        let found = lock(&found).take().expect("known").expect("an address");
        assert!(found.iter().all(|address| address.is_loopback()), "{found:?}");
        names.stop();
    }

    /// One that never ends, for a host of this name.
    fn dead_or_alive(host: &str) -> Addresses {
        while host.starts_with("dead") {
            sleep(LONG);
        }
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }

    #[test]
    fn a_dead_host_of_many_holds_up_no_other_one() {
        let names = Names { desk: Arc::default(), look_up: dead_or_alive };
        let dead: Vec<_> = (0..300).map(|_| ask(&names, "dead")).collect();
        for host in ["one", "two", "three"] {
            let (found, told) = ask(&names, host);
            told.recv_timeout(LONG).expect("told");
            assert!(matches!(&*lock(&found), Some(Ok(_))), "{host}");
        }
        assert!(dead.iter().all(|(found, _)| lock(found).is_none()));
        assert!(lock(&names.desk).threads <= 2, "one is held up");
        (0..9).for_each(|host| drop(ask(&names, &format!("dead{host}"))));
        assert_eq!(lock(&names.desk).threads, MOST_THREADS);
        names.stop();
    }

    static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);

    fn counted(host: &str) -> Addresses {
        if host == "slow" {
            sleep(Duration::from_millis(200));
        }
        LOOKED_UP.fetch_add(1, Relaxed);
        HERE
    }

    #[test]
    fn who_asks_for_the_same_host_shares_the_answer_and_who_has_gone_has_none() {
        let names = Names { desk: Arc::default(), look_up: counted };
        let slow: Vec<_> = (0..9).map(|_| ask(&names, "slow")).collect();
        for (found, told) in &slow {
            told.recv_timeout(LONG).expect("told");
            assert_eq!(*lock(found), Some(HERE));
        }
        assert_eq!(LOOKED_UP.load(Relaxed), 1);
        // While all threads are held up one waits, whose asker goes.
        lock(&names.desk).threads = MOST_THREADS;
        let (slow, told) = ask(&names, "slow");
        let (gone, never_told) = ask(&names, "gone");
        drop(gone);
        told.recv_timeout(LONG).expect("told");
        assert_eq!(*lock(&slow), Some(HERE));
        assert!(never_told.recv_timeout(LONG).is_err(), "it is let go of");
        assert_eq!(LOOKED_UP.load(Relaxed), 2);
        names.stop();
    }
}
