//! What operators and programs see and change by the API.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::vocabulary::{
    Connection, Group, Mirrorball, Over, READS, Setup, Source, Viewer, WRITES, binary, certificate,
    eventually, passes,
};

fn sessions(mirrorball: &Mirrorball, query: &str) -> Vec<Value> {
    let (status, page) = mirrorball.call(None, &format!("GET /api/sessions{query}"));
    assert_eq!(status, 200, "{page}");
    page["sessions"].as_array().expect("a list").clone()
}

#[test]
fn a_viewer_is_shown_with_all_that_the_log_would_tell_of_it() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("uk/news", source.group).start();
    let mut udp = Viewer::playing(&mirrorball, "uk/news", Over::Udp);
    let mut tcp = Viewer::playing(&mirrorball, "uk/news", Over::Tcp);
    source.send(20);
    udp.expect_packets(&source, 0..20);
    tcp.expect_packets(&source, 0..20);
    udp.report_on(source.ssrc);
    mirrorball.expect_metric("mirrorball_rtcp_reports_total", &[], 1.0);
    let shown = sessions(&mirrorball, "");
    assert_eq!(shown.len(), 2);
    for (session, by) in shown.iter().zip(["udp", "tcp"]) {
        let told =
            ["client", "channel", "state", "transport"].map(|key| session[key].as_str().expect("text"));
        assert_eq!(told, ["127.0.0.1", "uk/news", "playing", by], "{session}");
        assert_eq!((&session["missed"], &session["behind"]), (&json!(0), &json!(0)), "{session}");
        let packets = session["packets"].as_u64().expect("a number");
        assert!((19..=21).contains(&packets), "what was sent: {session}");
    }
    assert!(shown[0]["jitter_ms"].is_number() && shown[1]["jitter_ms"].is_null(), "one has reported");
    // The log calls them by the same numbers.
    let lines = mirrorball.expect_logged("a session plays", 2);
    for session in &shown {
        let told =
            format!("session={} channel=\"uk/news\" transport={}", session["session"], session["transport"]);
        assert!(lines.iter().any(|line| line.contains(&told)), "{told}: {lines:#?}");
    }
    for (query, count) in [
        ("?transport=tcp", 1),
        ("?channel=uk/news&client=127.", 2),
        ("?channel=other", 0),
        ("?client=192.", 0),
        ("?limit=1", 1),
    ] {
        assert_eq!(sessions(&mirrorball, query).len(), count, "{query}");
    }
    udp.request("PAUSE").expect(200);
    assert_eq!(sessions(&mirrorball, "?transport=udp")[0]["state"], "paused");
}

#[test]
fn by_whatever_way_a_viewer_is_sent_packets_the_api_tells_at_once_what_the_log_tells_in_the_end() {
    let (mut source, group) = (Source::new(), Group::fresh());
    let mirrorball = Setup::new().channel("news", source.group).multicast_out(group).start();
    let plays = |mut viewer: Viewer| {
        viewer.play();
        viewer
    };
    let asking = |transport: &str| {
        let mut viewer = Viewer::of(&mirrorball, "news");
        viewer.ask_for(1, transport);
        plays(viewer)
    };
    let mut raw = Viewer::of(&mirrorball, "news");
    let (_socket, _) = raw.set_up_raw("RAW/RAW/UDP;unicast;client_port=PORT");
    let viewers = [
        Viewer::playing(&mirrorball, "news", Over::Udp),
        Viewer::playing(&mirrorball, "news", Over::Tcp),
        plays(raw),
        asking("RTP/AVP;multicast"),
    ];
    source.send(20);
    let payload = (source.packet(0).len() - 12) as u64;
    let shown = eventually("all is sent", || {
        let shown = sessions(&mirrorball, "");
        shown.iter().all(|session| session["packets"].as_u64() >= Some(20)).then_some(shown)
    });
    for session in &shown {
        let header = if session["transport"] == "raw" { 0 } else { 12 };
        let count = |key: &str| session[key].as_u64().expect("a number");
        assert_eq!(count("bytes"), count("packets") * (payload + header), "{session}");
        assert_eq!([count("missed"), count("behind")], [0, 0], "{session}");
        assert_eq!(session["tracks"][0]["bytes"], session["bytes"], "{session}");
    }
    viewers.into_iter().for_each(Viewer::teardown);
    let ended = mirrorball.expect_logged("a session has ended", 4);
    for session in shown {
        let [number, packets, bytes] = ["session", "packets", "bytes"].map(|key| &session[key]);
        let told = format!("packets={packets} bytes={bytes} missed=0");
        let line = ended.iter().find(|line| line.contains(&format!("session={number} ")));
        assert!(line.is_some_and(|line| line.contains(&told)), "{told}: {ended:#?}");
    }
}

#[test]
fn who_pauses_or_goes_on_in_another_way_keeps_what_it_was_sent() {
    let mut source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    source.send(20);
    viewer.expect_packets(&source, 0..20);
    let told = || sessions(&mirrorball, "")[0].clone();
    let before = told();
    viewer.request("PAUSE").expect(200);
    let paused = told();
    assert_eq!([&paused["packets"], &paused["bytes"]], [&before["packets"], &before["bytes"]], "{paused}");
    assert!(paused["tracks"][0]["packets"].is_null() && paused["behind"].is_null(), "{paused}");
    viewer.set_up(1, Over::Tcp);
    viewer.play();
    source.send(10);
    let count = |session: &Value| session["packets"].as_u64().expect("a number");
    eventually("it is sent more", || (count(&told()) >= count(&before) + 10).then_some(()));
}

#[test]
fn who_reads_too_slowly_is_told_from_who_loses() {
    let source = Source::new();
    let mirrorball =
        Setup::new().channel("news", source.group).section("ring", "max_age = \"500ms\"").start();
    let mut slow = Viewer::by(Connection::with_little_room(mirrorball.rtsp), &mirrorball, "news");
    slow.set_up(1, Over::Tcp);
    slow.play();
    let _beam = source.beam(2000);
    eventually("it is seen to read too slowly", || {
        let session = &sessions(&mirrorball, "")[0];
        let count = |key: &str| session[key].as_u64().unwrap_or(0);
        (count("missed") > 0 && count("behind") > 0 && session["lost"].is_null()).then_some(())
    });
}

#[test]
fn why_somebody_does_not_get_in_is_told() {
    let source = Source::new();
    let setup = Setup::new().channel("news", source.group).section("limits", "sessions = 1");
    let mirrorball = setup.start();
    let _viewer = Viewer::playing(&mirrorball, "news", Over::Udp);
    let mut newcomer = Connection::open(mirrorball.rtsp);
    let track = format!("{}/trackID=1", mirrorball.url("news"));
    let headers = [("Transport", "RTP/AVP/TCP;interleaved=0-1"), ("User-Agent", "Late/1.0")];
    (0..3).for_each(|_| drop(newcomer.request("SETUP", &track, &headers).expect(503)));
    newcomer.request("DESCRIBE", &mirrorball.url("nwes"), &[]).expect(404);
    let refusals = |query: &str| mirrorball.call(None, &format!("GET /api/refusals{query}"));
    let (_, told) = refusals("");
    assert_eq!(told["sessions"], json!({ "limit": 3 }));
    let known = told["lately"].as_array().expect("a list");
    let texts = |known: &Value| {
        ["client", "what", "reason", "method", "asked"]
            .map(|key| known[key].as_str().unwrap_or_default().to_owned())
    };
    let newest = ["127.0.0.1", "refused", "no such channel or track", "DESCRIBE", "nwes"];
    assert_eq!((texts(&known[0]), &known[0]["status"]), (newest.map(str::to_owned), &json!(404)), "{told}");
    let before = ["127.0.0.1", "refused", "limit", "SETUP", "news"];
    assert_eq!((texts(&known[1]), &known[1]["status"]), (before.map(str::to_owned), &json!(503)), "{told}");
    assert_eq!([&known[1]["times"], &known[1]["agent"]], [&json!(3), &json!("Late/1.0")], "{told}");
    assert_eq!(refusals("?client=127.0.0.").1["lately"].as_array().map(Vec::len), Some(2));
    assert_eq!(refusals("?client=192.").1["lately"], json!([]));
    assert_eq!(refusals("?page=2").0, 400);
}

#[test]
fn a_session_is_ended_by_who_may() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).with_tokens().start();
    let mut viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let (_, page) = mirrorball.call(Some(READS), "GET /api/sessions");
    let one = format!("/api/sessions/{}", page["sessions"][0]["session"]);
    for (token, status) in [(None, 401), (Some("guessing-a-token-01"), 401), (Some(READS), 403)] {
        let (told, problem) = mirrorball.call(token, &format!("DELETE {one}"));
        assert!(told == status && problem["error"].is_string(), "{told}: {problem}");
    }
    assert_eq!(mirrorball.call(Some(WRITES), &format!("DELETE {one}")).0, 200);
    assert!(viewer.connection.is_closed_within(Duration::from_secs(5)), "it is told, and may come again");
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "operator")], 1.0);
    assert_eq!(mirrorball.call(Some(WRITES), &format!("DELETE {one}")).0, 404);
    Viewer::playing(&mirrorball, "news", Over::Tcp).teardown();
}

#[test]
fn the_config_is_read_again_and_all_its_errors_are_told() {
    let (news, sport) = (Source::new(), Source::new());
    let mirrorball = Setup::new().channel("news", news.group).with_tokens().start();
    let reload = || mirrorball.call(Some(WRITES), "POST /api/reload");
    assert_eq!(reload(), (200, json!({ "result": "unchanged" })));
    let before = mirrorball.config();
    let sport =
        format!("[[channel]]\nname = \"sport\"\nsource = \"rtp://{}\"\ninterface = \"lo\"\n", sport.group);
    mirrorball.write_config(&format!("{before}{sport}[ring]\nmax_age = \"3s\"\n"));
    // Unless it was seen to be written before.
    let (status, told) = reload();
    assert_eq!(status, 200, "{told}");
    assert!(told["result"] == "unchanged" || told["added"] == json!(["sport"]), "{told}");
    let (_, status) = mirrorball.call(Some(READS), "GET /api/status");
    assert_eq!(status["config"]["waiting_for_a_start"], json!(["[ring] max_age"]));
    let (_, channels) = mirrorball.call(Some(READS), "GET /api/channels");
    assert_eq!(channels["channels"].as_array().expect("a list").len(), 2);
    mirrorball.write_config("[rtsp]\nsession_timeout = \"soon\"\nlisten_on = 1\n");
    let (status, problem) = reload();
    assert_eq!(status, 422);
    let error = problem["error"].as_str().expect("text");
    assert!(error.contains("session_timeout") && error.contains("listen_on"), "{error}");
}

#[test]
fn an_edge_is_drained_and_takes_viewers_in_again() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).with_tokens().start();
    let viewer = Viewer::playing(&mirrorball, "news", Over::Tcp);
    let (status, told) = mirrorball.call_with(Some(WRITES), "POST /api/drain", "{\"seconds\": 3600}");
    assert_eq!((status, &told["seconds"]), (200, &json!(3600.0)));
    mirrorball.expect_page("/ready", 503);
    let describe =
        || Connection::open(mirrorball.rtsp).request("DESCRIBE", &mirrorball.url("news"), &[]).status;
    assert_eq!(describe(), 503);
    assert_eq!(mirrorball.call(Some(WRITES), "DELETE /api/drain").1["was_draining"], true);
    mirrorball.expect_page("/ready", 200);
    assert_eq!(describe(), 200);
    viewer.teardown();
}

#[test]
fn through_tls_a_login_of_a_browser_does_as_well() {
    let (chain, key) = certificate(2040);
    let setup = Setup::new().with_tokens().beside("admin.pem", &chain).beside("admin.key", &key);
    let setup =
        setup.admin_line("certificate = \"admin.pem\"\nprivate_key = \"admin.key\"").at_known_addresses();
    let admin = setup.known_admin();
    let mut program = binary().args(["serve", "--config"]).arg(setup.write()).spawn().expect("it starts");
    let curl = |login: &str, path: &str| {
        let url = format!("https://{admin}{path}");
        let run = Command::new("curl").args(["-sk", "--max-time", "10", "-u", login, &url]).output();
        String::from_utf8_lossy(&run.expect("curl").stdout).into_owned()
    };
    let ready = passes(Duration::from_secs(20), || curl("a:b", "/ready").contains("ready"));
    let answers = [
        curl(&format!("anna:{READS}"), "/api/sessions"),
        curl("anna:guessing-a-token-01", "/api/sessions"),
        curl(&format!("anna:{READS}"), "/"),
    ];
    program.kill().and_then(|()| program.wait()).expect("it ends");
    assert!(ready, "it answers through TLS");
    let expected = ["\"sessions\":[]", "this takes a token", "<h1>Mirrorball</h1>"];
    for (answer, says) in answers.iter().zip(expected) {
        assert!(answer.contains(says), "{answer}");
    }
}

#[test]
fn each_path_of_the_description_is_answered() {
    let source = Source::new();
    let mirrorball = Setup::new().channel("news", source.group).start();
    let (_, description) = mirrorball.call(None, "GET /api/openapi.json");
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.len() >= 10);
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys().filter(|method| *method != "get") {
            let line = format!(
                "{} {}",
                method.to_uppercase(),
                path.replace("{session}", "1").replace("{name}", "news")
            );
            assert_eq!(
                mirrorball.call(None, &line).0,
                403,
                "{line}: it changes something, and there are no tokens"
            );
        }
        let is_get = methods.get("get").is_some() && !path.contains("events") && !path.contains("preview");
        if is_get {
            let line = format!("GET {}", path.replace("{session}", "1").replace("{name}", "news"));
            let status = mirrorball.call(None, &line).0;
            assert!(status == 200 || status == 404 && path.contains("{session}"), "{line}: {status}");
        }
    }
}

#[test]
fn a_program_adds_changes_and_removes_channels_and_they_are_kept() {
    let (news, mut sport, mut moved) = (Source::new(), Source::new(), Source::new());
    let setup = Setup::new().channel("news", news.group).with_tokens();
    let mirrorball = setup.admin_line("channels_file = \"kept.toml\"").start();
    let put = |name: &str, keys: Value| {
        mirrorball.call_with(Some(WRITES), &format!("PUT /api/channels/{name}"), &keys.to_string())
    };
    let of = |source: &Source| json!({ "source": format!("rtp://{}", source.group), "interface": "lo" });
    let (status, told) = put("uk/sport", of(&sport));
    assert_eq!((status, &told["added"]), (200, &json!(["uk/sport"])), "{told}");
    let mut viewer = Viewer::playing(&mirrorball, "uk/sport", Over::Tcp);
    sport.send(5);
    viewer.expect_packets(&sport, 0..5);
    // It comes from elsewhere, and its viewer watches on.
    (moved.programme, moved.ssrc, moved.next) = (sport.programme, sport.ssrc, 5);
    assert_eq!(put("uk/sport", of(&moved)).1["changed"], json!(["uk/sport"]));
    moved.send(5);
    viewer.expect_packets(&moved, 5..10);

    let kept = || fs::read_to_string(mirrorball.directory().join("kept.toml")).expect("it is kept");
    let before = kept();
    for (name, keys, status, says) in [
        ("more", json!({ "source": "rtp://239.1.1.1" }), 422, "the port is missing"),
        ("more", json!({ "source": "rtp://239.1.1.1:5004", "sourc": 1 }), 422, "did you mean"),
        ("more", json!({ "source": null }), 422, "source"),
        ("more", json!({ "name": "less", "source": "rtp://239.1.1.1:5004" }), 422, "leave it out"),
        ("more", of(&moved), 422, "uk/sport"),
        ("news", of(&news), 409, "in the config file itself"),
        ("more", json!([1]), 400, "no object"),
    ] {
        let (told, problem) = put(name, keys.clone());
        let error = problem["error"].as_str().unwrap_or_default();
        assert!(told == status && error.contains(says), "{keys}: {told} {problem}");
    }
    assert_eq!(kept(), before, "what is wrong is not kept");
    // What is wrong in it is told with its own line.
    fs::write(mirrorball.directory().join("kept.toml"), format!("{before}\nlisten = 1\n")).expect("written");
    let problem = mirrorball.call(Some(WRITES), "POST /api/reload").1["error"].to_string();
    assert!(problem.contains("kept.toml:") && problem.contains("listen"), "{problem}");
    fs::write(mirrorball.directory().join("kept.toml"), &before).expect("written");

    let remove = |name: &str| mirrorball.call(Some(WRITES), &format!("DELETE /api/channels/{name}")).0;
    assert_eq!((remove("news"), remove("more")), (409, 404));
    assert_eq!(remove("uk/sport"), 200);
    assert!(viewer.connection.is_closed_within(Duration::from_secs(5)), "it is told that it ends");
    assert_eq!(mirrorball.call(Some(READS), "GET /api/channels/uk/sport").0, 404);
}
