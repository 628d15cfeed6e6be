//! Every real client over every carriage that it has: each has to decode pictures of a programme, as they were sent. What was found
//! is a table of the documents.

mod attempt;
mod clients;
mod nginx;

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use mirrorball::serve::{Scope, Users, write_users};
use tempfile::TempDir;

use crate::players::programme::{FRAME_BYTES, Programme, Sender};
use crate::vocabulary::{
    Connection, Group, Mirrorball, Needs, Over, Row, Setup, Source, Table, Viewer, eventually,
    in_a_network_of_its_own, passes, skip, through_tls, tunnel,
};
use attempt::Outcome;
use clients::{Client, clients};
use nginx::Nginx;

/// The rest of what clients need is theirs.
const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg"], route: true, ipv6: false };
const WITH_PROXY: Needs = Needs { programs: &["ip", "ffmpeg", "nginx"], ..NEEDS };
/// How many clients play at a time. They wait for pictures most of the time.
const WIDTH: usize = 6;
const PROGRAMME_SECONDS: u32 = 5;
const USER: &str = "anna";
const PASSWORD: &str = "opensesame";

/// How a client asks, and is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    Udp,
    Tcp,
    /// RTSP in HTTP.
    Tunnel,
    Tls,
    /// RTSP in HTTPS.
    SecretTunnel,
    Multicast,
    /// Over TCP, where a login is asked for.
    Login,
    /// The transport stream as the body of a reply.
    Http,
}

const CARRIAGES: [Carriage; 8] = [
    Carriage::Udp,
    Carriage::Tcp,
    Carriage::Tunnel,
    Carriage::Tls,
    Carriage::SecretTunnel,
    Carriage::Multicast,
    Carriage::Login,
    Carriage::Http,
];

/// The columns of the table.
const HEAD: [&str; 10] = [
    "client",
    "version",
    "UDP",
    "TCP",
    "HTTP tunnel",
    "TLS",
    "HTTPS tunnel",
    "multicast",
    "Digest login",
    "HTTP",
];

/// A client and how it is to play.
pub struct Cell<'s> {
    pub client: &'s Client,
    pub carriage: Carriage,
    authority: String,
    path: &'static str,
    stage: &'s Stage,
}

impl Cell<'_> {
    /// What it opens, by this scheme.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/{}", self.authority, self.path)
    }

    /// A file of its own.
    pub fn file(&self, ending: &str) -> PathBuf {
        let name = format!("{}-{:?}.{ending}", self.client.name, self.carriage);
        self.stage.directory.path().join(name.replace(' ', "-"))
    }
}

/// The program, and what is sent to it.
struct Stage {
    mirrorball: Mirrorball,
    _sender: Sender,
    /// What is sent, frame behind frame.
    picture: Vec<u8>,
    directory: TempDir,
}

impl Stage {
    fn set() -> Self {
        let programme = Programme::of_seconds(PROGRAMME_SECONDS);
        let directory = TempDir::new().expect("a directory");
        // VLC plays for no root, and has to leave its pictures somewhere.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).expect("our own");
        let users = directory.path().join("users");
        let mut people = Users::of_realm("Mirrorball").expect("a realm");
        assert_eq!(people.set(USER, PASSWORD, Some(Scope::All)), Ok(true));
        write_users(&users, &people).expect("a file");
        let (film, members) = (Group::fresh(), Group::fresh());
        let setup = Setup::new()
            .section("access", &format!("users = \"{}\"", users.display()))
            .section("ring", "max_age = \"60s\"") // so that nobody is refused as late
            .channel("film", film)
            .channel_line("public = true")
            .multicast_out(Group::fresh())
            .channel("members", members);
        let mirrorball = setup.through_tls().over_http().over_web().start();
        let sender = programme.repeat(&[film, members]);
        for channel in ["film", "members"] {
            let came =
                || mirrorball.metric("mirrorball_channel_packets_total", &[("channel", channel)]) > 0.0;
            eventually("the programme begins", || came().then_some(()));
        }
        Self { mirrorball, _sender: sender, picture: programme.picture(), directory }
    }

    fn cell<'s>(&'s self, client: &'s Client, carriage: Carriage) -> Cell<'s> {
        let mirrorball = &self.mirrorball;
        let address = match carriage {
            Carriage::Udp | Carriage::Tcp | Carriage::Multicast | Carriage::Login => mirrorball.rtsp,
            Carriage::Tunnel => mirrorball.http(),
            Carriage::Tls | Carriage::SecretTunnel => mirrorball.rtsps(),
            Carriage::Http => mirrorball.web(),
        };
        let (authority, path) = match carriage {
            Carriage::Login => (format!("{USER}:{PASSWORD}@{address}"), "members"),
            _ => (address.to_string(), "film"),
        };
        Cell { client, carriage, authority, path, stage: self }
    }

    /// What comes of these cells, in their order.
    fn play(&self, cells: &[Cell<'_>]) -> Vec<Outcome> {
        let sent: HashSet<_> = self.picture.chunks_exact(FRAME_BYTES).collect();
        let outcomes: Vec<_> = cells.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..WIDTH {
                scope.spawn(|| {
                    while let Some((cell, outcome)) = {
                        let place = next.fetch_add(1, Relaxed);
                        cells.get(place).zip(outcomes.get(place))
                    } {
                        let came = match (cell.client.attempt)(cell) {
                            Ok(attempt) => attempt.make(&sent),
                            Err(_) => Outcome::CanNot,
                        };
                        *outcome.lock().expect("no panic") = Some(came);
                    }
                });
            }
        });
        outcomes
            .into_iter()
            .map(|outcome| outcome.into_inner().expect("no panic").expect("each has its turn"))
            .collect()
    }
}

impl Stage {
    /// Nobody was served by another way than the one that the cell is about.
    fn expect_no_other_way(&self, cells: &[Cell<'_>], outcomes: &[Outcome]) {
        for (way, carriages) in [
            ("udp", &[Carriage::Udp] as &[_]),
            ("multicast", &[Carriage::Multicast]),
            ("http", &[Carriage::Http]),
            (
                "tcp",
                &[Carriage::Tcp, Carriage::Login, Carriage::Tunnel, Carriage::Tls, Carriage::SecretTunnel],
            ),
        ] {
            let plays = |(cell, outcome): &(&Cell<'_>, &Outcome)| {
                carriages.contains(&cell.carriage) && matches!(outcome, Outcome::Plays)
            };
            let count = cells.iter().zip(outcomes).filter(plays).count();
            let of_way = format!("transport=\"{way}\"");
            let told = || {
                self.mirrorball.logged("a session plays").iter().filter(|line| line.contains(&of_way)).count()
            };
            passes(Duration::from_secs(5), || told() == count);
            assert_eq!(told(), count, "sessions over {way}");
        }
    }
}

#[test]
fn every_client_plays_over_every_carriage_that_it_has() {
    in_a_network_of_its_own("the matrix of clients", &NEEDS, || {
        let stage = Stage::set();
        let (clients, table) = (clients(), Table::of("docs/clients.md", "clients"));
        let cells: Vec<_> = clients
            .iter()
            .filter(|client| is_here(client))
            .flat_map(|client| CARRIAGES.map(|carriage| stage.cell(client, carriage)))
            .collect();
        let outcomes = stage.play(&cells);
        expect_no_failure(&cells, &outcomes);
        stage.expect_no_other_way(&cells, &outcomes);
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused)).count();
        let labels = [("method", "ANNOUNCE"), ("status", "405")];
        stage.mirrorball.expect_metric("mirrorball_rtsp_requests_total", &labels, refused as f64);
        stage.mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);

        let mut notes = Vec::new();
        let mut found = outcomes.chunks_exact(CARRIAGES.len());
        let rows = clients.iter().filter_map(|client| {
            let notes_of = notes_of(&stage, client, &mut notes);
            if !is_installed(client) {
                return table.row(client.name, true);
            }
            let words = found.next().expect("a row each").iter().zip(notes_of);
            let cells = words.map(|(outcome, note)| format!("{}{note}", outcome.word())).collect();
            Some(Row { name: client.name.to_owned(), version: Some((client.version)()), cells })
        });
        let rows: Vec<_> = rows.collect();
        table.expect(&HEAD, &rows, &notes);
    });
}

/// A proxy parts what it passes on wherever it likes, and keeps it for as long as it likes unless it is told otherwise.
#[test]
fn tunnels_lead_through_a_proxy() {
    in_a_network_of_its_own("tunnels through nginx", &WITH_PROXY, || {
        let stage = Stage::set();
        let nginx = Nginx::before(stage.mirrorball.http());
        let mut source = Source::new();
        let mirrorball = Setup::new().channel("news", source.group).over_http().start();
        let other = Nginx::before(mirrorball.http());
        let mut viewers: Vec<_> = [(other.plain, 1), (other.plain, 1000), (other.unbuffered, 7)]
            .into_iter()
            .map(|(address, part)| {
                let connection =
                    tunnel(|| std::net::TcpStream::connect(address).expect("nginx accepts"), part);
                Viewer::playing_by(Connection::by(connection), &mirrorball, "news", Over::Tcp)
            })
            .collect();
        let connect = || through_tls(std::net::TcpStream::connect(other.tls).expect("nginx accepts")).0;
        let connection = Connection::by(tunnel(connect, 1000));
        viewers.push(Viewer::playing_by(connection, &mirrorball, "news", Over::Tcp));
        source.send(100);
        viewers.iter_mut().for_each(|viewer| viewer.expect_packets(&source, 0..100));
        viewers.into_iter().for_each(Viewer::teardown);
        mirrorball.expect_metric("mirrorball_rtsp_connections", &[], 0.0);

        let clients = clients();
        let cells: Vec<_> = clients
            .iter()
            .filter(|client| client.plays && is_here(client))
            .flat_map(|client| {
                [(Carriage::Tunnel, nginx.plain), (Carriage::SecretTunnel, nginx.tls)].map(
                    |(carriage, address)| Cell {
                        authority: address.to_string(),
                        ..stage.cell(client, carriage)
                    },
                )
            })
            .collect();
        let outcomes = stage.play(&cells);
        expect_no_failure(&cells, &outcomes);
        assert!(outcomes.iter().any(|outcome| matches!(outcome, Outcome::Plays)), "one at least has tunnels");
    });
}

#[track_caller]
fn expect_no_failure(cells: &[Cell<'_>], outcomes: &[Outcome]) {
    let failures: Vec<_> = cells
        .iter()
        .zip(outcomes)
        .filter_map(|(cell, outcome)| {
            let Outcome::Fails(why) = outcome else { return None };
            Some(format!("{} over {:?}: {why}", cell.client.name, cell.carriage))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Whether a client can be had; if not it is said, and is a failure where all has to be told.
#[track_caller]
fn is_here(client: &Client) -> bool {
    let is_here = is_installed(client);
    if !is_here {
        skip(client.name, "it is not installed");
    }
    is_here
}

fn is_installed(client: &Client) -> bool {
    (client.is_installed)()
}

/// The signs of the notes that say why it can not, for each carriage. New notes are added to those that are there.
fn notes_of(stage: &Stage, client: &Client, notes: &mut Vec<String>) -> [String; CARRIAGES.len()] {
    CARRIAGES.map(|carriage| {
        let Err(why) = (client.attempt)(&stage.cell(client, carriage)) else { return String::new() };
        let place = notes.iter().position(|note| note.ends_with(why)).unwrap_or_else(|| {
            notes.push(format!("- {} {why}", SIGNS[notes.len()]));
            notes.len() - 1
        });
        format!(" {}", SIGNS[place])
    })
}

const SIGNS: [&str; 6] = ["¹", "²", "³", "⁴", "⁵", "⁶"];
