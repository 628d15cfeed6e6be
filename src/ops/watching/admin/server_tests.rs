//! The admin endpoint over real sockets.

use super::super::super::super::config::Role;
use super::super::super::api::{Call, Problem};
use super::super::super::metrics::{Accepts, Exposition, Visits};
use super::super::super::vital::Vital;
use super::super::exchange::HEAD_BYTES;
use super::*;
use crate::event::Standstill;
use crate::event::{clock, lock};
use crate::serve::Previews;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A source that is ready, or stands still, when it is told so.
struct Source {
    ready: AtomicBool,
    live: AtomicBool,
    metrics: Vec<u8>,
    tokens: Arc<[(Role, String)]>,
    /// As the last scrape was told.
    visits: Mutex<Visits>,
}

impl Vital for Source {
    fn live(&self) -> Result<(), Standstill> {
        let stands = Standstill { what: "poll-media-3".into(), for_good: false };
        if self.live.load(SeqCst) { Ok(()) } else { Err(stands) }
    }

    fn give_up(&self, _: &str) {
        self.live.store(false, SeqCst);
    }
}

impl AdminSource for Source {
    fn metrics(&self, visits: Visits, accepts: Accepts) -> Exposition {
        *lock(&self.visits) = visits;
        let encoding = accepts.gzip.then_some("gzip");
        Exposition { bytes: self.metrics.clone(), content_type: "text/plain; version=0.0.4", encoding }
    }

    fn ready(&self) -> Result<String, String> {
        if self.ready.load(SeqCst) { Ok("ready\n".into()) } else { Err("no listener yet".into()) }
    }

    fn call(&self, call: &Call) -> Result<Value, Problem> {
        match call {
            Call::EndSession(_) => Err(Problem { status: 404, error: "there is none".to_owned() }),
            call => Ok(json!({ "called": format!("{call:?}") })),
        }
    }

    fn tokens(&self) -> Arc<[(Role, String)]> {
        self.tokens.clone()
    }

    fn previews(&self) -> Option<Arc<Previews>> {
        None
    }
}

fn start(metrics: &[u8]) -> (AdminServer, Arc<Source>) {
    start_with(metrics, &[])
}

fn start_with(metrics: &[u8], tokens: &[(Role, &str)]) -> (AdminServer, Arc<Source>) {
    let (ready, live) = (AtomicBool::new(false), AtomicBool::new(true));
    let tokens = tokens.iter().map(|(role, token)| (*role, (*token).to_owned())).collect();
    let visits = Mutex::default();
    let source = Arc::new(Source { ready, live, metrics: metrics.to_vec(), tokens, visits });
    let server = AdminServer::start(on_loopback(), source.clone()).expect("a free port");
    (server, source)
}

fn on_loopback() -> AdminConfig {
    AdminConfig { listen: (Ipv4Addr::LOCALHOST, 0).into(), kept: None, certificates: None }
}

fn connect(server: &AdminServer) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).expect("a listener");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    stream
}

/// What comes back for `request`, up to the close.
fn ask(server: &AdminServer, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).expect("a request sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and a close");
    answer
}

fn get(server: &AdminServer, path: &str) -> String {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn a_scrape_gets_the_metrics_in_the_text_format() {
    let (server, _) = start(b"mirrorball_sessions 3\n");
    let answer = get(&server, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nmirrorball_sessions 3\n"), "{answer}");
    assert!(!answer.contains("content-encoding"), "{answer}");
    let accepts = "Accept-Encoding: deflate\r\nAccept-Encoding: gzip;q=0.5\r\n";
    let answer = ask(&server, &format!("GET /metrics HTTP/1.1\r\nHost: edge\r\n{accepts}\r\n"));
    assert!(answer.contains("content-encoding: gzip\r\n"), "what is accepted is passed on: {answer}");
    server.stop();
}

#[test]
fn ready_and_live_follow_the_source_each_for_itself() {
    let (server, source) = start(b"");
    let answer = get(&server, "/ready");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("not ready: no listener yet\n"), "{answer}");
    assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "));
    source.ready.store(true, SeqCst);
    source.live.store(false, SeqCst);
    assert!(get(&server, "/ready").starts_with("HTTP/1.1 200 "));
    let answer = get(&server, "/live");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("standing still: poll-media-3\n"), "{answer}");
    server.stop();
}

#[test]
fn the_front_page_is_all_there_and_from_here() {
    let (server, _) = start(b"");
    for (path, kind) in [("/", "text/html"), ("/status.css", "text/css"), ("/status.js", "text/javascript")] {
        let answer = get(&server, path);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(kind), "{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    }
    let description = get(&server, "/api");
    let body = description.split_once("\r\n\r\n").expect("a body").1;
    serde_json::from_str::<Value>(body).expect("JSON");
    server.stop();
}

#[test]
fn calls_are_answered_in_json_and_their_problems_too() {
    let (server, _) = start_with(b"", &[(Role::Write, "changing-some-of-it")]);
    let send = |line: &str, rest: &str| {
        let login = "Authorization: Bearer changing-some-of-it\r\n";
        ask(&server, &format!("{line} HTTP/1.1\r\nHost: edge\r\n{login}{rest}"))
    };
    let answer = send("GET /api/sessions?limit=3", "\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("limit: 3"), "{answer}");
    assert!(send("GET /api/sessions?limit=x", "\r\n").starts_with("HTTP/1.1 400 "));
    let answer = send("DELETE /api/sessions/7", "\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 404 ") && answer.ends_with("{\"error\":\"there is none\"}\n"),
        "{answer}"
    );
    let answer = send("POST /api/drain", "Content-Length: 15\r\n\r\n{\"seconds\": 30}");
    assert!(answer.contains("Drain(Some(30s))"), "{answer}");
    for wrong in ["{\"seconds\":-1}", "{\"seconds\":99999999}", "[]", "x"] {
        let answer = send("POST /api/drain", &format!("Content-Length: {}\r\n\r\n{wrong}", wrong.len()));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{wrong}: {answer}");
    }
    server.stop();
}

#[test]
fn who_has_no_token_sees_that_it_lives_and_no_more() {
    let (server, _) = start_with(b"", &[(Role::Read, "looking-at-it-all")]);
    for path in ["/live", "/metrics"] {
        assert!(get(&server, path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    let answer = get(&server, "/api/sessions");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("www-authenticate: Basic realm=\"Mirrorball admin\""), "{answer}");
    let login = "Authorization: Bearer looking-at-it-all\r\n";
    let reload = format!("POST /api/reload HTTP/1.1\r\nHost: edge\r\n{login}\r\n");
    assert!(ask(&server, &reload).starts_with("HTTP/1.1 403 "), "it is for reading");
    server.stop();
}

#[test]
fn pages_are_told_each_second_and_as_many_as_may_be() {
    let (server, source) = start(b"");
    let open = || {
        let mut stream = connect(&server);
        stream.write_all(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        stream
    };
    let read = |stream: &mut TcpStream, until: &str| {
        let mut text = String::new();
        while !text.contains(until) {
            let mut bytes = [0; 512];
            let read = stream.read(&mut bytes).expect("it goes on");
            assert!(read > 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        text
    };
    let mut pages: Vec<_> = (0..32).map(|_| open()).collect();
    for page in &mut pages {
        let text = read(page, "Overview");
        assert!(text.contains("text/event-stream") && text.contains("event: overview\ndata: {"), "{text}");
    }
    read(&mut pages[0], "Overview");
    read(&mut open(), "HTTP/1.1 503 ");
    assert!(get(&server, "/metrics").starts_with("HTTP/1.1 200 "), "streams take no room from others");
    let Visits { connections, pages: told, most_pages, pages_refused, .. } = *lock(&source.visits);
    assert_eq!((told, most_pages, pages_refused), (32, 32, 1));
    assert!((1..=2).contains(&connections), "the scrape, and maybe who was refused: {connections}");
    drop(pages);
    server.stop();
}

#[test]
fn another_path_is_404_and_another_method_405() {
    let (server, _) = start(b"mirrorball_sessions 3\n");
    assert!(get(&server, "/metrics/").starts_with("HTTP/1.1 404 "));
    let refused = ask(&server, "POST /metrics HTTP/1.1\r\nHost: edge\r\nContent-Length: 0\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    assert!(refused.contains("allow: GET, HEAD\r\n"), "{refused}");
    let head = ask(&server, "HEAD /metrics HTTP/1.1\r\nHost: edge\r\n\r\n");
    assert!(head.contains("content-length: 22\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    server.stop();
}

#[test]
fn what_is_not_http_is_closed_and_the_next_client_is_served() {
    let (server, _) = start(b"");
    for noise in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", &"x".repeat(2 * HEAD_BYTES)] {
        let mut stream = connect(&server);
        let _ = stream.write_all(noise.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "));
    server.stop();
}

#[test]
fn who_asks_for_nothing_makes_way_for_who_asks() {
    let (server, source) = start(b"");
    let mut idle: Vec<_> = (0..CONNECTIONS).map(|_| connect(&server)).collect();
    assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "));
    let began = clock::now();
    for _ in 0..20 {
        assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "));
    }
    assert!(began.elapsed() < Duration::from_secs(4), "nobody waits for the idle: {:?}", began.elapsed());
    assert_eq!(idle[0].read(&mut [0; 8]).expect("closed"), 0, "who has waited longest has gone");
    get(&server, "/metrics");
    let Visits { connections, most_connections, made_way, .. } = *lock(&source.visits);
    assert!(made_way > 0 && (CONNECTIONS / 2..=CONNECTIONS).contains(&connections), "{connections}");
    assert_eq!(most_connections, CONNECTIONS);
    server.stop();
}

#[test]
fn a_stop_does_not_wait_for_a_client_that_does_not_read() {
    let (server, _) = start(&vec![b'#'; 32 << 20]);
    let mut stalled = connect(&server);
    stalled.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n").expect("a request sent");
    stalled.read_exact(&mut [0; 8]).expect("the answer begins");
    let address = server.local_addr();
    let began = clock::now();
    server.stop();
    assert!(began.elapsed() < EXCHANGE_TIMEOUT, "the stop is bounded by its own time");
    assert!(TcpStream::connect(address).is_err(), "the listener is closed");
}

#[test]
fn without_descriptors_one_client_after_the_other_is_answered() {
    let name =
        "ops::watching::admin::server::tests::without_descriptors_one_client_after_the_other_is_answered";
    crate::event::testing::in_a_process_of_its_own(name, || {
        let (server, _) = start(b"mirrorball_sessions 3\n");
        assert!(get(&server, "/live").starts_with("HTTP/1.1 200 "), "it runs, and has its spare");
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let clients: Vec<_> = (0..3).map(|_| socket()).collect();
        let taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        for client in clients {
            client.connect(&server.local_addr().into()).expect("a listener");
            let mut client = TcpStream::from(client);
            client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
            client.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\n\r\n").expect("sent");
            let mut answer = String::new();
            client.read_to_string(&mut answer).expect("an answer");
            assert!(answer.ends_with("mirrorball_sessions 3\n"), "{answer}");
        }
        drop(taken);
        server.stop();
    });
}

#[test]
fn an_address_in_use_is_an_error() {
    let (server, source) = start(b"");
    let error = AdminServer::start(AdminConfig { listen: server.local_addr(), ..on_loopback() }, source)
        .expect_err("the port is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    server.stop();
}
