//! Whole logins against [`Access`], by a client that we did not write.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_auth::{PasswordClient, PasswordParams};
use tempfile::TempDir;

use super::*;
use crate::event::clock;
use crate::wire::rtsp::{Method, Target};

const LIFE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(60);
const EDGE: &str = "rtsp://edge/news";

/// Access to `news` for all users, to `film` for anna, and to `open` for everybody.
struct Door {
    access: Access,
    file: std::path::PathBuf,
    _directory: TempDir,
    now: Instant,
}

impl Door {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("users");
        let mut users = Users::of_realm("Mirrorball").expect("a realm");
        let only = Scope::parse("news,uk/sport").expect("names");
        users.set("anna", "open sesame", None).expect("a user");
        users.set("ben", "sesame open", Some(only)).expect("a user");
        write_users(&file, &users).expect("a file");
        let networks = Networks { allow: None, deny: vec!["198.51.100.0/24".parse().expect("a network")] };
        let closed = Networks { allow: Some(Vec::new()), deny: Vec::new() };
        let rule = |who, networks: &Networks| Rule { who, networks: networks.clone() };
        let open = Networks::default();
        let channels = [
            ("film".to_owned(), rule(Who::Only(vec!["anna".to_owned()]), &open)),
            ("open".to_owned(), rule(Who::Everybody, &open)),
            ("closed".to_owned(), rule(Who::Everybody, &closed)),
        ];
        let config = AccessConfig {
            users: Some(file.clone()),
            networks,
            failures: FailureLimits { most: 3, pause: PAUSE },
            nonce_lifetime: LIFE,
            tokens: Vec::new(),
            channels: channels.into(),
        };
        Self { access: Access::new(config).expect("users"), file, _directory: directory, now: clock::now() }
    }

    fn later(&mut self, by: Duration) {
        self.now += by;
    }

    fn count(&self, of: fn(&AccessStats) -> &[(&'static str, u64)], reason: &str) -> u64 {
        let stats = self.access.stats();
        of(&stats).iter().find(|(label, _)| *label == reason).expect("a reason").1
    }
}

/// A connection, and its player.
struct Player<'d> {
    door: &'d Door,
    known: Acquaintance,
    client: IpAddr,
    over_tls: bool,
    names_session: bool,
    method: Method,
    uri: String,
    /// What it hashes, where that is not the URI that it asks for.
    says: Option<String>,
}

impl<'d> Player<'d> {
    fn new(door: &'d Door) -> Self {
        let (known, client) = (Acquaintance::default(), [192, 0, 2, 1].into());
        Self {
            door,
            known,
            client,
            over_tls: false,
            names_session: false,
            method: Method::Describe,
            uri: EDGE.into(),
            says: None,
        }
    }

    fn asks(mut self, method: Method, uri: &str) -> Self {
        (self.method, self.uri) = (method, uri.to_owned());
        self
    }

    fn from(mut self, client: &str) -> Self {
        self.client = client.parse().expect("an address");
        self
    }

    fn ask(&mut self, authorization: Option<&str>) -> Verdict {
        let target = Target::parse(&self.uri).expect("a URI of ours");
        let channel = match &target {
            Target::Channel { name, .. } => Some(name.as_str()),
            Target::Server => None,
        };
        let (method, client, over_tls) = (&self.method, self.client, self.over_tls);
        let (names_session, over_http) = (self.names_session, None);
        let asked = Asked {
            method,
            target: &target,
            channel,
            names_session,
            authorization,
            client,
            over_tls,
            over_http,
        };
        self.door.access.judge(&asked, &mut self.known, self.door.now)
    }

    fn challenges(&mut self, authorization: Option<&str>) -> Vec<String> {
        match self.ask(authorization) {
            Verdict::Challenge { challenges, .. } => challenges,
            other => panic!("no challenge: {other:?}"),
        }
    }

    fn answer(&self, client: &mut PasswordClient, user: &str, password: &str) -> String {
        let uri = self.says.as_deref().unwrap_or(&self.uri);
        let method: &str = (&self.method).into();
        let params = PasswordParams { username: user, password, uri, method, body: Some(&[]) };
        client.respond(&params).expect("an answer")
    }

    /// The answer to the challenge of this number.
    fn logs_in_by(&mut self, number: usize, user: &str, password: &str) -> Verdict {
        let challenge = self.challenges(None).swap_remove(number);
        let mut client = PasswordClient::try_from(challenge.as_str()).expect("a challenge");
        let answer = self.answer(&mut client, user, password);
        self.ask(Some(&answer))
    }

    fn logs_in(&mut self, user: &str, password: &str) -> Verdict {
        self.logs_in_by(0, user, password)
    }
}

/// A challenge as RFC 2069 has it: a client that knows no more answers without counting.
fn without_qop(challenge: &str) -> PasswordClient {
    let plain = challenge.replace(", qop=\"auth\"", "");
    PasswordClient::try_from(plain.as_str()).expect("a challenge")
}

fn is_stale(challenges: &[String]) -> bool {
    challenges.iter().all(|challenge| challenge.starts_with("Basic") || challenge.contains(", stale=true"))
}

#[track_caller]
fn expect_failure(verdict: Verdict, reason: &str) {
    match verdict {
        Verdict::Challenge { challenges, failed: Some(failed) } => {
            assert_eq!(failed, reason);
            assert!(!is_stale(&challenges), "a password that is wrong is asked for again");
        }
        other => panic!("{reason}: {other:?}"),
    }
}

#[test]
fn a_user_gets_in_by_each_algorithm_and_without_a_login_nobody() {
    let door = Door::new();
    assert_eq!(Player::new(&door).challenges(None).len(), 2);
    for number in 0..2 {
        assert_eq!(Player::new(&door).logs_in_by(number, "anna", "open sesame"), Verdict::Allowed);
    }
    assert_eq!((door.access.stats().logins, door.count(|stats| &stats.challenges, "new")), (2, 3));
    for method in [Method::Setup, Method::Play, Method::Teardown, Method::Announce, Method::from("FLY")] {
        let mut player = Player::new(&door).asks(method, EDGE);
        assert!(!is_stale(&player.challenges(None)));
    }
}

#[test]
fn what_is_wrong_is_refused_and_counted_by_its_reason() {
    let door = Door::new();
    let fresh = |last: u8| Player::new(&door).from(&format!("192.0.2.{last}"));
    expect_failure(fresh(1).logs_in("anna", "open sesame!"), "wrong password");
    expect_failure(fresh(2).logs_in("carl", "open sesame"), "no such user");
    expect_failure(fresh(3).logs_in("", ""), "no such user");
    expect_failure(fresh(4).ask(Some("Digest x")), "the login can not be read");
    expect_failure(fresh(5).ask(Some("Bearer x")), "a login by what was not offered");
    let mut other_realm = fresh(6);
    let challenge = other_realm.challenges(None)[0].replace("Mirrorball", "Elsewhere");
    let mut client = PasswordClient::try_from(challenge.as_str()).expect("a challenge");
    let answer = other_realm.answer(&mut client, "anna", "open sesame");
    expect_failure(other_realm.ask(Some(&answer)), "a login for another realm");
    for reason in ["password", "no such user", "malformed", "unsupported", "realm"] {
        assert!(door.count(|stats| &stats.failures, reason) > 0, "{reason}");
    }
}

#[test]
fn an_answer_is_for_its_method_and_channel() {
    let door = Door::new();
    for says in
        ["rtsp://edge/news/", "/news", "rtsp://10.0.0.1:8554/news.sdp?x=y", "rtsp://edge/news/trackID=1"]
    {
        let mut player = Player::new(&door);
        player.says = Some(says.into());
        assert_eq!(player.logs_in("anna", "open sesame"), Verdict::Allowed, "{says}");
        let mut track = Player::new(&door).asks(Method::Setup, "rtsp://edge/news/trackID=2");
        track.says = Some(says.into());
        assert_eq!(track.logs_in("anna", "open sesame"), Verdict::Allowed, "{says}");
    }
    for (last, says) in ["rtsp://edge/film", "*", "", "http://edge/news"].into_iter().enumerate() {
        let mut player = Player::new(&door).from(&format!("192.0.2.1{last}"));
        player.says = Some(says.into());
        expect_failure(player.logs_in("anna", "open sesame"), "a login for something else");
    }
    let mut player = Player::new(&door);
    let challenge = player.challenges(None).swap_remove(0);
    let mut client = PasswordClient::try_from(challenge.as_str()).expect("a challenge");
    let answer = player.answer(&mut client, "anna", "open sesame");
    player.method = Method::Play;
    expect_failure(player.ask(Some(&answer)), "wrong password");
}

#[test]
fn no_answer_is_good_a_second_time() {
    let door = Door::new();
    let (mut player, mut thief) = (Player::new(&door), Player::new(&door));
    let challenge = player.challenges(None).swap_remove(0);
    let mut client = PasswordClient::try_from(challenge.as_str()).expect("a challenge");
    let answer = player.answer(&mut client, "anna", "open sesame");
    assert_eq!(player.ask(Some(&answer)), Verdict::Allowed);
    let challenges = thief.challenges(Some(&answer));
    assert!(is_stale(&challenges) && !challenges[0].contains(nonce_of(&challenge)), "another connection");
    let challenges = Player::new(&door).from("192.0.2.2").challenges(Some(&answer));
    assert!(is_stale(&challenges) && !challenges[0].contains(nonce_of(&challenge)), "another address");
    let challenges = player.challenges(Some(&answer));
    assert!(is_stale(&challenges) && !challenges[0].contains(nonce_of(&challenge)), "the same one");
    let mut client = PasswordClient::try_from(challenges[0].as_str()).expect("a challenge");
    let answer = player.answer(&mut client, "anna", "open sesame");
    assert_eq!(player.ask(Some(&answer)), Verdict::Allowed, "who knows the password goes on at once");
    assert_eq!(door.count(|stats| &stats.challenges, "foreign"), 1);
    assert_eq!(door.count(|stats| &stats.challenges, "replayed"), 2);
    assert!(door.access.stats().failures.iter().all(|(_, count)| *count == 0), "none of it is a failure");
}

#[test]
fn a_client_that_counts_nothing_repeats_itself_on_its_own_connection_alone() {
    let door = Door::new();
    for number in 0..2 {
        let (mut player, mut thief) = (Player::new(&door), Player::new(&door));
        let challenge = player.challenges(None).swap_remove(number);
        let answer = player.answer(&mut without_qop(&challenge), "anna", "open sesame");
        assert!(!answer.contains("qop"), "{answer}");
        assert_eq!(player.ask(Some(&answer)), Verdict::Allowed);
        assert_eq!(player.ask(Some(&answer)), Verdict::Allowed);
        assert!(is_stale(&thief.challenges(Some(&answer))));
    }
}

#[test]
fn a_client_that_opens_a_connection_for_each_request_is_challenged_once() {
    let door = Door::new();
    for counts in [true, false] {
        let challenge = Player::new(&door).challenges(None).swap_remove(1);
        let mut client = if counts {
            PasswordClient::try_from(challenge.as_str()).expect("one")
        } else {
            without_qop(&challenge)
        };
        for method in [Method::Describe, Method::Setup, Method::Play, Method::GetParameter, Method::Teardown]
        {
            let mut player = Player::new(&door).asks(method, EDGE);
            let answer = player.answer(&mut client, "anna", "open sesame");
            assert_eq!(answer.contains("qop"), counts, "{answer}");
            assert_eq!(player.ask(Some(&answer)), Verdict::Allowed, "{answer}");
            let challenges = Player::new(&door).asks(player.method.clone(), EDGE).challenges(Some(&answer));
            assert!(is_stale(&challenges), "it is not good for whoever repeats it: {challenges:?}");
        }
    }
    assert_eq!(door.count(|stats| &stats.challenges, "new"), 2);
}

#[test]
fn a_nonce_that_expired_is_stale_and_a_wrong_password_for_it_is_no_better() {
    let mut door = Door::new();
    let (mut known, challenge) = {
        let mut player = Player::new(&door);
        let challenge = player.challenges(None).swap_remove(1);
        (player.known, challenge)
    };
    door.later(LIFE);
    let mut player = Player::new(&door);
    std::mem::swap(&mut player.known, &mut known);
    let mut client = PasswordClient::try_from(challenge.as_str()).expect("a challenge");
    let wrong = player.answer(&mut client, "anna", "open sesame!");
    expect_failure(player.ask(Some(&wrong)), "wrong password");
    let answer = player.answer(&mut client, "anna", "open sesame");
    let challenges = player.challenges(Some(&answer));
    assert!(is_stale(&challenges), "{challenges:?}");
    let answer = player.answer(&mut without_qop(&challenges[1]), "anna", "open sesame");
    assert_eq!(player.ask(Some(&answer)), Verdict::Allowed);
}

#[test]
fn a_password_as_it_is_goes_over_tls_alone() {
    let door = Door::new();
    let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let mut player = Player::new(&door);
    expect_failure(player.ask(Some(&basic("anna:open sesame"))), "a password in the clear");
    assert_eq!(player.challenges(None).len(), 2, "it is not offered");
    player.over_tls = true;
    assert_eq!(player.challenges(None)[2], "Basic realm=\"Mirrorball\"");
    assert_eq!(player.ask(Some(&basic("anna:open sesame"))), Verdict::Allowed);
    expect_failure(player.ask(Some(&basic("anna:open sesam"))), "wrong password");
    expect_failure(
        Player { over_tls: true, ..Player::new(&door) }.ask(Some(&basic("carl:open sesame"))),
        "no such user",
    );
}

#[test]
fn who_may_watch_what_is_asked_of_the_user_and_of_the_channel() {
    let door = Door::new();
    let watch = |user, password, channel: &str| {
        Player::new(&door).asks(Method::Setup, &format!("rtsp://edge/{channel}")).logs_in(user, password)
    };
    let forbidden = Verdict::Forbidden("not for this user");
    assert_eq!(watch("anna", "open sesame", "film"), Verdict::Allowed);
    assert_eq!(watch("anna", "open sesame", "no/such"), Verdict::Allowed, "it is told that there is none");
    assert_eq!(watch("ben", "sesame open", "uk/sport"), Verdict::Allowed);
    assert_eq!(watch("ben", "sesame open", "film"), forbidden);
    assert_eq!(watch("ben", "sesame open", "no/such"), forbidden, "it is not told whether there is one");
    assert_eq!(door.count(|stats| &stats.barred, "channel"), 2);
    let mut anybody = Player::new(&door).asks(Method::Describe, "rtsp://edge/open");
    assert_eq!(anybody.ask(None), Verdict::Allowed);
    assert_eq!(anybody.ask(Some("Digest nonsense")), Verdict::Allowed, "a login that nobody asked for");
    for (method, uri) in [(Method::Options, EDGE), (Method::Options, "*"), (Method::GetParameter, "*")] {
        assert_eq!(Player::new(&door).asks(method, uri).ask(None), Verdict::Allowed);
    }
}

#[test]
fn options_of_a_session_are_for_who_logs_in() {
    let door = Door::new();
    let mut player = Player::new(&door).asks(Method::Options, EDGE);
    player.names_session = true;
    assert_eq!(player.challenges(None).len(), 2);
    assert_eq!(player.logs_in("anna", "open sesame"), Verdict::Allowed);
}

#[test]
fn from_where_comes_before_who() {
    let door = Door::new();
    let barred = Verdict::Forbidden("not from this address");
    for uri in [EDGE, "rtsp://edge/open", "*"] {
        for method in [Method::Options, Method::Describe] {
            assert_eq!(Player::new(&door).from("::ffff:198.51.100.9").asks(method, uri).ask(None), barred);
        }
    }
    assert_eq!(Player::new(&door).asks(Method::Play, "rtsp://edge/closed").ask(None), barred);
    assert_eq!(door.count(|stats| &stats.barred, "address"), 7);
}

#[test]
fn who_guesses_waits_and_who_is_in_goes_on() {
    let mut door = Door::new();
    let known = {
        let mut player = Player::new(&door);
        assert_eq!(player.logs_in("anna", "open sesame"), Verdict::Allowed);
        player.known
    };
    for guess in ["12345678", "password", "letmein!"] {
        expect_failure(Player::new(&door).logs_in("ben", guess), "wrong password");
    }
    let wait = Verdict::NotNow(PAUSE, "too many failed logins");
    assert_eq!(Player::new(&door).logs_in("ben", "sesame open"), wait, "nothing is looked at");
    assert_eq!(Player::new(&door).ask(Some("Digest nonsense")), wait);
    assert_eq!(Player::new(&door).from("192.0.2.2").logs_in("ben", "sesame open"), Verdict::Allowed);
    let mut player = Player { known, ..Player::new(&door) };
    assert_eq!(player.logs_in("anna", "open sesame"), Verdict::Allowed);
    assert_eq!(player.logs_in("ben", "sesame open"), wait, "as another it may guess no more than others");
    assert_eq!(door.count(|stats| &stats.barred, "failures"), 3);
    assert_eq!(door.count(|stats| &stats.failures, "password"), 3, "what is not looked at has not failed");
    door.later(PAUSE);
    assert_eq!(Player::new(&door).logs_in("ben", "sesame open"), Verdict::Allowed);
}

#[test]
fn without_users_there_is_no_login_and_the_lists_hold() {
    let networks =
        Networks { allow: Some(vec!["192.0.2.0/24".parse().expect("a network")]), deny: Vec::new() };
    let failures = FailureLimits { most: 3, pause: PAUSE };
    let config = AccessConfig {
        users: None,
        networks,
        failures,
        nonce_lifetime: LIFE,
        tokens: Vec::new(),
        channels: Default::default(),
    };
    let door = Door { access: Access::new(config).expect("no file is needed"), ..Door::new() };
    assert_eq!(Player::new(&door).ask(None), Verdict::Allowed);
    let barred = Verdict::Forbidden("not from this address");
    assert_eq!(Player::new(&door).from("2001:db8::1").ask(None), barred);
}

#[test]
fn users_who_come_and_go_do_so_while_it_serves() {
    let door = Door::new();
    let mut users = read_users(&door.file).expect("users");
    assert!(users.remove("ben"));
    users.set("carl", "sesame, too", None).expect("a user");
    write_users(&door.file, &users).expect("a file");
    assert!(door.access.door().users.as_ref().expect("a file").read_again().is_some());
    expect_failure(Player::new(&door).logs_in("ben", "sesame open"), "no such user");
    assert_eq!(Player::new(&door).logs_in("carl", "sesame, too"), Verdict::Allowed);
    fs::write(&door.file, "realm").expect("it is ours");
    assert!(door.access.door().users.as_ref().expect("a file").read_again().is_some());
    assert_eq!(Player::new(&door).logs_in("carl", "sesame, too"), Verdict::Allowed, "what was right goes on");
}

fn nonce_of(challenge: &str) -> &str {
    challenge.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a nonce")
}
