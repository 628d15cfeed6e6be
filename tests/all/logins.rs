//! Who may log in, and what becomes of those who may not.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::{PasswordClient, PasswordParams};
use mirrorball::serve::{Scope, Users, write_users};
use retina::client::{Credentials, PlayOptions, Session, SessionOptions, SetupOptions};
use tempfile::TempDir;

use crate::vocabulary::{
    Carrier, Connection, Group, Mirrorball, Needs, Quiet, Reply, Setup, Source, binary, eventually,
    in_a_network_of_its_own,
};

const PASSWORD: &str = "opensesame";
const TCP: (&str, &str) = ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1");

/// The program with `news` for all users, `film` for anna alone, and `open` for everybody.
struct House {
    mirrorball: Mirrorball,
    users: PathBuf,
    _directory: TempDir,
}

impl House {
    /// With these lines in `[access]` and for `film`.
    fn with(access: &str, film: &str) -> Self {
        Self::of(access, film, Group::fresh())
    }

    /// With media for `news`.
    fn of_source(access: &str, source: &Source) -> Self {
        Self::of(access, "", source.group)
    }

    fn of(access: &str, film: &str, news: Group) -> Self {
        let directory = TempDir::new().expect("a directory");
        let users = directory.path().join("users");
        write_users(&users, &Self::people(&["anna", "ben"])).expect("a file");
        let setup = Setup::new()
            .section("access", &format!("users = \"{}\"\n{access}", users.display()))
            .channel("news", news)
            .multicast_out(Group::fresh())
            .channel("film", Group::fresh())
            .channel_line(film)
            .channel("open", Group::fresh())
            .channel_line("public = true");
        Self { mirrorball: setup.through_tls().over_http().start(), users, _directory: directory }
    }

    fn people(names: &[&str]) -> Users {
        let mut users = Users::of_realm("Mirrorball").expect("a realm");
        names.iter().for_each(|name| assert_eq!(users.set(name, PASSWORD, Some(Scope::All)), Ok(true)));
        users
    }

    fn client(&self) -> Client<'_> {
        Client { connection: Connection::open(self.mirrorball.rtsp), house: self, login: None }
    }

    fn client_by(&self, carrier: Carrier) -> Client<'_> {
        Client { connection: Connection::by(carrier.connect(&self.mirrorball)), ..self.client() }
    }

    fn client_from(&self, last: u8) -> Client<'_> {
        let connection = Connection::from(Ipv4Addr::new(127, 0, 0, last), self.mirrorball.rtsp);
        Client { connection, ..self.client() }
    }
}

/// A client that answers challenges as a program does that we did not write.
struct Client<'h> {
    connection: Connection,
    house: &'h House,
    login: Option<(PasswordClient, &'static str, &'static str)>,
}

impl Client<'_> {
    /// Takes the challenge of this number from now on.
    fn takes(&mut self, reply: &Reply, number: usize, user: &'static str, password: &'static str) {
        let challenge = reply.all("WWW-Authenticate")[number];
        self.login = Some((PasswordClient::try_from(challenge).expect("a challenge"), user, password));
    }

    fn answer(&mut self, method: &str, channel: &str) -> Option<String> {
        let uri = self.house.mirrorball.url(channel);
        let (client, username, password) = self.login.as_mut()?;
        let params = PasswordParams { username, password, uri: &uri, method, body: Some(&[]) };
        Some(client.respond(&params).expect("an answer"))
    }

    fn asks(&mut self, method: &str, channel: &str, headers: &[(&str, &str)]) -> Reply {
        let answer = self.answer(method, channel);
        let login = answer.as_deref().map(|answer| ("Authorization", answer));
        let headers: Vec<_> = headers.iter().copied().chain(login).collect();
        self.connection.request(method, &self.house.mirrorball.url(channel), &headers)
    }

    /// Describes a channel, having been asked who it is.
    fn logs_in(&mut self, user: &'static str, password: &'static str, channel: &str) -> Reply {
        self.login = None;
        let challenge = self.asks("DESCRIBE", channel, &[]).expect(401);
        self.takes(&challenge, 0, user, password);
        self.asks("DESCRIBE", channel, &[])
    }
}

fn is_stale(reply: &Reply) -> bool {
    reply.status == 401
        && reply.all("WWW-Authenticate").iter().all(|challenge| challenge.contains(", stale=true,"))
}

#[test]
fn a_channel_is_for_those_who_log_in() {
    let house = House::with("", "users = [\"anna\"]");
    for (number, algorithm) in ["algorithm=SHA-256", "algorithm=MD5"].into_iter().enumerate() {
        let mut client = house.client();
        client.asks("OPTIONS", "news", &[]).expect(200);
        let challenge = client.asks("DESCRIBE", "news", &[]).expect(401);
        assert!(challenge.body.is_empty());
        let challenges = challenge.all("WWW-Authenticate");
        assert!(challenges.len() == 2 && challenges[number].contains(algorithm), "{challenges:?}");
        for method in ["SETUP", "PLAY", "TEARDOWN", "ANNOUNCE", "GET_PARAMETER"] {
            client.asks(method, "news", &[TCP]).expect(401);
        }
        client.asks("SETUP", "news", &[("Transport", "RTP/AVP;multicast")]).expect(401);
        client.asks("DESCRIBE", "absent", &[]).expect(401); // whether it is there is for users
        house.mirrorball.expect_metric("mirrorball_sessions", &[], 0.0);
        client.takes(&challenge, number, "ben", PASSWORD);
        assert!(client.asks("DESCRIBE", "news", &[]).expect(200).body.contains("m=video"));
        let reply = client.asks("SETUP", "news", &[TCP]).expect(200);
        let id = reply.header("Session").and_then(|value| value.split(';').next()).expect("an id").to_owned();
        let session = [("Session", id.as_str())];
        client.asks("PLAY", "news", &session).expect(200);
        let mut thief = house.client();
        let [own, free, of_sat_ip] = ["news", "open", "stream=0"].map(|name| house.mirrorball.url(name));
        for method in ["TEARDOWN", "GET_PARAMETER", "OPTIONS"] {
            for uri in [own.as_str(), "*", &free, &of_sat_ip] {
                thief.connection.request(method, uri, &session).expect(401);
            }
        }
        client.asks("GET_PARAMETER", "news", &session).expect(200);
        client.asks("DESCRIBE", "film", &[]).expect(403);
        client.asks("DESCRIBE", "absent", &[]).expect(404);
        client.asks("TEARDOWN", "news", &session).expect(200);
    }
    house.client().logs_in("anna", PASSWORD, "film").expect(200);
    house.client().asks("DESCRIBE", "open", &[]).expect(200);
    assert_eq!(house.mirrorball.metric("mirrorball_logins_total", &[]), 3.0);
    assert_eq!(house.mirrorball.metric("mirrorball_access_refused_total", &[("reason", "channel")]), 2.0);
    assert!(!house.mirrorball.has_logged("status=401"), "that somebody comes without a login is no news");
}

#[test]
fn whatever_carries_a_request_it_is_judged_alike_and_a_password_as_it_is_goes_through_tls_alone() {
    let house = House::with("", "");
    let basic = format!("Basic {}", STANDARD.encode(format!("anna:{PASSWORD}")));
    let carriers = [
        (Carrier::Plain, false),
        (Carrier::Tunnel { part: 9 }, false),
        (Carrier::Tls, true),
        (Carrier::SecretTunnel, true),
    ];
    for (carrier, is_secret) in carriers {
        let mut client = house.client_by(carrier);
        let told = client.asks("DESCRIBE", "news", &[]).expect(401);
        assert_eq!(told.all("WWW-Authenticate").len(), if is_secret { 3 } else { 2 }, "{carrier:?}");
        client.logs_in("anna", PASSWORD, "news").expect(200);
        let mut client = house.client_by(carrier);
        let status = if is_secret { 200 } else { 401 };
        client.asks("DESCRIBE", "news", &[("Authorization", &basic)]).expect(status);
    }
    let refused = [("reason", "basic without TLS")];
    house.mirrorball.expect_metric("mirrorball_login_failures_total", &refused, 2.0);
}

#[test]
fn a_wrong_login_is_counted_and_told_without_what_was_tried() {
    let house = House::with("", "");
    house.client().logs_in("anna", "open barley", "news").expect(401);
    house.client().logs_in("carl", "open barley", "news").expect(401);
    let mut client = house.client();
    let login = ("Authorization", "Basic YW5uYTpvcGVuc2VzYW1l");
    client.asks("DESCRIBE", "news", &[login]).expect(401);
    client.asks("DESCRIBE", "news", &[("Authorization", "Digest")]).expect(401);
    for reason in ["password", "no such user", "basic without TLS", "malformed"] {
        assert_eq!(
            house.mirrorball.metric("mirrorball_login_failures_total", &[("reason", reason)]),
            1.0,
            "{reason}"
        );
    }
    for reason in ["wrong password", "no such user", "a password in the clear", "the login can not be read"] {
        let line = &house.mirrorball.expect_logged(reason, 1)[0];
        assert!(line.contains("refused") && line.contains("status=401"), "{line}");
    }
    for secret in ["barley", "YW5uYT", "sesame", "response"] {
        assert!(!house.mirrorball.has_logged(secret), "{secret}");
    }
}

#[test]
fn no_answer_is_good_twice_or_after_its_time() {
    let house = House::with("nonce_lifetime = \"1s\"", "");
    let (mut client, mut thief) = (house.client(), house.client());
    let challenge = client.asks("DESCRIBE", "news", &[]).expect(401);
    client.takes(&challenge, 0, "anna", PASSWORD);
    let answer = client.answer("DESCRIBE", "news").expect("it has a login");
    let login = [("Authorization", answer.as_str())];
    client.login = None;
    client.asks("DESCRIBE", "news", &login).expect(200);
    assert!(is_stale(&thief.asks("DESCRIBE", "news", &login)), "another connection");
    assert!(is_stale(&house.client_from(2).asks("DESCRIBE", "news", &login)), "another address");
    let challenge = client.asks("DESCRIBE", "news", &login);
    assert!(is_stale(&challenge), "the same one");
    client.takes(&challenge, 0, "anna", PASSWORD);
    client.asks("DESCRIBE", "news", &[]).expect(200);
    // It is about time itself: a nonce that is not used is good for a second.
    thread::sleep(Duration::from_millis(1200));
    let challenge = client.asks("DESCRIBE", "news", &[]);
    assert!(is_stale(&challenge), "its time is over: {challenge:?}");
    client.takes(&challenge, 1, "anna", PASSWORD);
    client.asks("DESCRIBE", "news", &[]).expect(200);
    let stale = |reason| house.mirrorball.metric("mirrorball_login_challenges_total", &[("reason", reason)]);
    assert_eq!(["foreign", "replayed", "expired"].map(stale), [1.0, 2.0, 1.0]);
    assert_eq!(house.mirrorball.metric("mirrorball_login_failures_total", &[]), 0.0);
}

#[test]
fn a_client_of_the_old_form_repeats_itself_on_its_connection_alone() {
    let house = House::with("", "");
    let (mut client, mut thief) = (house.client(), house.client());
    let challenge = client.asks("DESCRIBE", "news", &[]).expect(401);
    let old = challenge.all("WWW-Authenticate")[1].replace(", algorithm=MD5, qop=\"auth\"", "");
    client.login = Some((PasswordClient::try_from(old.as_str()).expect("a challenge"), "anna", PASSWORD));
    let answer = client.answer("DESCRIBE", "news").expect("it has a login");
    client.login = None;
    for _ in 0..2 {
        client.asks("DESCRIBE", "news", &[("Authorization", answer.as_str())]).expect(200);
    }
    assert!(is_stale(&thief.asks("DESCRIBE", "news", &[("Authorization", answer.as_str())])));
}

#[test]
fn who_opens_a_connection_for_each_request_logs_in_once_and_plays_on() {
    let mut source = Source::new();
    let house = House::of_source("", &source);
    let (rtp, rtcp) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (rtp, rtcp) = (rtp.expect("a port"), rtcp.expect("a port"));
    rtp.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
    let transport = format!("RTP/AVP;unicast;client_port={}-{}", port(&rtp), port(&rtcp));
    for (qop, session_of) in [(true, "one that counts"), (false, "one of the old form")] {
        let challenge = house.client().asks("DESCRIBE", "news", &[]).expect(401);
        let challenge = challenge.all("WWW-Authenticate")[1].to_owned();
        let challenge = if qop { challenge } else { challenge.replace(", algorithm=MD5, qop=\"auth\"", "") };
        let mut login = Some((PasswordClient::try_from(challenge.as_str()).expect("one"), "anna", PASSWORD));
        let mut asks = |method: &str, headers: &[(&str, &str)]| {
            let mut client = Client { login: login.take(), ..house.client() };
            let reply = client.asks(method, "news", headers).expect(200);
            login = client.login;
            reply
        };
        asks("DESCRIBE", &[]);
        let reply = asks("SETUP", &[("Transport", &transport)]);
        let id = reply.header("Session").and_then(|value| value.split(';').next()).expect("an id").to_owned();
        asks("PLAY", &[("Session", &id)]);
        // Who counts nothing would be asked anew before it says a thing twice.
        for _ in 0..if qop { 3 } else { 1 } {
            asks("GET_PARAMETER", &[("Session", &id)]);
            source.send(1);
            rtp.recv(&mut [0; 2048]).unwrap_or_else(|error| panic!("{session_of}: {error}"));
        }
        asks("TEARDOWN", &[("Session", &id)]);
    }
    let challenged =
        |reason| house.mirrorball.metric("mirrorball_login_challenges_total", &[("reason", reason)]);
    assert_eq!(["new", "foreign", "replayed", "expired"].map(challenged), [2.0, 0.0, 0.0, 0.0]);
}

#[test]
fn users_come_and_go_while_it_serves() {
    let house = House::with("", "");
    let mut playing = house.client();
    playing.logs_in("ben", PASSWORD, "news").expect(200);
    write_users(&house.users, &House::people(&["anna", "carl"])).expect("a file");
    house.mirrorball.expect_logged("the users have changed", 1);
    house.client().logs_in("carl", PASSWORD, "news").expect(200);
    playing.asks("DESCRIBE", "news", &[]).expect(401);
    fs::set_permissions(&house.users, fs::Permissions::from_mode(0o644)).expect("it is ours");
    let line = &house.mirrorball.expect_logged("the users stay as they were", 1)[0];
    assert!(line.contains("mode 0644 lets others in"), "{line}");
    house.client().logs_in("carl", PASSWORD, "news").expect(200);
    fs::set_permissions(&house.users, fs::Permissions::from_mode(0o600)).expect("it is ours");
    house.mirrorball.expect_logged("the users have changed", 2);
    assert_eq!(house.mirrorball.lines_logged("the users stay as they were"), 1, "it is told once");
}

#[test]
fn from_some_addresses_nobody_watches() {
    let house = House::with(
        "allow = [\"127.0.0.0/30\"]\ndeny = [\"127.0.0.2\"]",
        "allow = [\"127.0.0.9\"]\ndeny = [\"127.0.0.1\"]",
    );
    for (last, channel, status) in [
        (1, "open", 200),
        (1, "film", 403),
        (2, "open", 403),
        (3, "open", 200),
        (3, "film", 403),
        (9, "open", 403),
        (9, "film", 401),
    ] {
        house.client_from(last).asks("DESCRIBE", channel, &[]).expect(status);
    }
    house.client_from(2).asks("OPTIONS", "news", &[]).expect(403);
    house.client_from(2).asks("SETUP", "open", &[TCP]).expect(403);
    let refused = house.mirrorball.metric("mirrorball_access_refused_total", &[("reason", "address")]);
    assert_eq!(refused, 6.0);
    assert!(house.mirrorball.expect_logged("not from this address", 4)[0].contains("status=403"));
}

#[test]
fn who_guesses_waits_and_nobody_else_does() {
    let house = House::with("failures_per_address = 3\nfailure_pause = \"2s\"", "");
    let mut playing = house.client_from(3);
    playing.logs_in("anna", PASSWORD, "news").expect(200);
    for guess in ["12345678", "password", "letmein!"] {
        house.client_from(3).logs_in("ben", guess, "news").expect(401);
    }
    let reply = house.client_from(3).logs_in("ben", PASSWORD, "news").expect(503);
    assert!(matches!(reply.header("Retry-After"), Some("1" | "2")), "{reply:?}");
    house.client_from(4).logs_in("ben", PASSWORD, "news").expect(200);
    playing.asks("DESCRIBE", "news", &[]).expect(200);
    let failed = |reason| house.mirrorball.metric("mirrorball_login_failures_total", &[("reason", reason)]);
    assert_eq!(failed("password"), 3.0);
    assert!(house.mirrorball.metric("mirrorball_access_refused_total", &[("reason", "failures")]) >= 1.0);
    eventually("it may try again", || {
        (house.client_from(3).logs_in("ben", PASSWORD, "news").status == 200).then_some(())
    });
}

#[test]
fn real_players_log_in() {
    const NEEDS: Needs = Needs { programs: &["ip", "ffmpeg", "gst-launch-1.0"], route: true, ipv6: false };
    in_a_network_of_its_own("players that log in", &NEEDS, || {
        let house = House::with("failures_per_address = 1000", "");
        let url = house.mirrorball.url("news");
        let with = |password: &str| url.replace("rtsp://", &format!("rtsp://anna:{password}@"));
        let mut played = 0.0;
        for over in ["udp", "tcp"] {
            for name in ["ffmpeg", "gst-launch-1.0"] {
                let player = |url: &str| {
                    let mut command = Command::new(name);
                    match name {
                        "ffmpeg" => command.args(["-rtsp_transport", over, "-i", url, "-f", "null", "-"]),
                        _ => command.args([
                            "-q",
                            "rtspsrc",
                            &format!("location={url}"),
                            &format!("protocols={over}"),
                        ]),
                    };
                    if name != "ffmpeg" {
                        command.args(["!", "fakesink"]);
                    }
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    command.spawn().expect("it is installed")
                };
                let mut child = player(&with(PASSWORD));
                played += 1.0;
                let labels = [("method", "PLAY"), ("status", "200")];
                house.mirrorball.expect_metric("mirrorball_rtsp_requests_total", &labels, played);
                child.kill().and_then(|()| child.wait()).expect("it is ours");
                let failed =
                    || house.mirrorball.metric("mirrorball_login_failures_total", &[("reason", "password")]);
                let before = failed();
                let mut child = player(&with("open-barley"));
                eventually("it fails", || (failed() > before).then_some(()));
                child.kill().and_then(|()| child.wait()).expect("it is ours");
            }
        }
        retina_logs_in(&url);
        let labels = [("method", "PLAY"), ("status", "200")];
        house.mirrorball.expect_metric("mirrorball_rtsp_requests_total", &labels, played + 1.0);
        assert_eq!(house.mirrorball.metric("mirrorball_logins_total", &[]), played + 1.0);
    });
}

fn retina_logs_in(url: &str) {
    let url = url::Url::parse(url).expect("a URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let login = Credentials { username: "anna".to_owned(), password: PASSWORD.to_owned() };
        let options = SessionOptions::default().creds(Some(login));
        let mut session = Session::describe(url, options).await.expect("it is let in");
        session.setup(0, SetupOptions::default()).await.expect("it is let in");
        session.play(PlayOptions::default()).await.expect("it is let in");
    });
}

#[test]
fn users_are_made_by_the_program_and_their_passwords_are_in_no_file() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("users");
    assert_done(&user(&["add", "anna"], &file, "open sesame\n"), "is made, with the realm \"Mirrorball\"");
    assert_done(&user(&["add", "ben", "--channels", "news"], &file, "sesame open"), "ben may log in");
    let about = fs::metadata(&file).expect("it is made");
    assert_eq!(about.mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&file).expect("it is ours");
    assert!(text.contains("\nuser anna channels=* sha-256=") && !text.contains("sesame"), "{text}");
    assert_done(&user(&["list"], &file, ""), "USER  CHANNELS\nanna  *\nben   news\n");
    assert_done(&user(&["remove", "anna"], &file, ""), "anna may log in no more");
    assert_ne!(
        fs::metadata(&file).expect("it is there").ino(),
        about.ino(),
        "a reader has the old one or the new one"
    );

    for (arguments, stdin, code, says) in [
        (&["add", "carl"] as &[&str], "short\n", 1, "write 8 or more"),
        (&["add", "carl", "--realm", "Other"], "open sesame\n", 1, "leave --realm out"),
        (&["remove", "carl"], "", 1, "there is no user \"carl\"; there are ben"),
        (&["add", "c:l"], "open sesame\n", 2, "is no user's name; write up to 64 letters"),
        (&["add", "carl", "--password", "open sesame"], "", 2, "unexpected argument '--password'"),
    ] {
        let before = fs::read(&file).expect("it is ours");
        let output = user(arguments, &file, stdin);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{output:?}");
        assert_eq!(fs::read(&file).expect("it is ours"), before, "it is as it was");
    }
}

fn user(arguments: &[&str], file: &Path, stdin: &str) -> Output {
    let _quiet = Quiet::beside_others();
    let mut command = binary();
    command.arg("user").args(arguments).arg("--file").arg(file).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    // One that does not ask for a password may have ended.
    let _ = child.stdin.take().expect("asked for").write_all(stdin.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn assert_done(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(says), "{says:?} is not in {output:?}");
}
