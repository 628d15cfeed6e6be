//! Names of hosts, looked up on a thread of their own: the system's resolver blocks, and what it waits for has no bound
//! that is ours. The thread is started for the first name; addresses need none.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::event::{Priority, lock, spawn};

/// Names that wait to be looked up; each server waits for one.
const MOST: usize = 4096;

/// The thread, once there is one.
#[derive(Default)]
pub(super) struct Names(Mutex<Option<Sender<Wanted>>>);

/// What a host's name has led to, once it is known.
pub(super) type Found = Arc<Mutex<Option<Result<Vec<SocketAddr>, String>>>>;

struct Wanted {
    host: String,
    port: u16,
    found: Found,
    tell: Box<dyn FnOnce() + Send>,
}

impl Names {
    /// Looks a host up; who asks is told when it is known, unless it is at once.
    pub fn find(&self, host: &str, port: u16, tell: impl FnOnce() + Send + 'static) -> Found {
        let bare = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return known(Ok(vec![SocketAddr::new(address, port)]));
        }
        let found = Found::default();
        let wanted = Wanted { host: bare.to_owned(), port, found: found.clone(), tell: Box::new(tell) };
        match self.thread().map(|thread| thread.try_send(wanted)) {
            Ok(Ok(())) => found,
            Ok(Err(_)) => known(Err("too many names are looked up".to_owned())),
            Err(error) => known(Err(error.to_string())),
        }
    }

    /// The thread ends with what it looks up now. Nobody waits for that.
    pub fn stop(&self) {
        lock(&self.0).take();
    }

    fn thread(&self) -> io::Result<Sender<Wanted>> {
        let mut thread = lock(&self.0);
        if let Some(thread) = &*thread {
            return Ok(thread.clone());
        }
        let (sender, receiver) = bounded(MOST);
        spawn("names".to_owned(), Priority::Low, move || serve(&receiver))?;
        Ok(thread.insert(sender).clone())
    }
}

fn known(found: Result<Vec<SocketAddr>, String>) -> Found {
    Arc::new(Mutex::new(Some(found)))
}

fn serve(wanted: &Receiver<Wanted>) {
    for Wanted { host, port, found, tell } in wanted {
        let addresses = (host.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let addresses = match addresses {
            Ok(addresses) if addresses.is_empty() => Err("it has no address".to_owned()),
            Ok(addresses) => Ok(addresses),
            Err(error) => Err(error.to_string()),
        };
        *lock(&found) = Some(addresses);
        tell();
    }
}

#[cfg(all(test, not(model)))]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn addresses_are_known_at_once_and_names_are_told() {
        let names = Names::default();
        for (host, address) in [("192.0.2.1", "192.0.2.1:554"), ("[::1]", "[::1]:554"), ("::1", "[::1]:554")]
        {
            let found = names.find(host, 554, || panic!("it is known"));
            let found = lock(&found).clone();
            assert_eq!(found, Some(Ok(vec![address.parse().expect("an address")])));
        }
        assert!(lock(&names.0).is_none(), "no thread is needed for them");
        let (sender, told) = channel();
        let found = names.find("localhost", 554, move || {
            let _ = sender.send(());
        });
        told.recv_timeout(Duration::from_secs(30)).expect("told");
        let found = lock(&found).take().expect("known").expect("an address");
        assert!(found.iter().all(|address| address.ip().is_loopback()), "{found:?}");
        names.stop();
    }
}
