//! Values that are right TOML, and not what their keys hold.

use super::{accepted, assert_says, refused, warned};
use crate::net::Marks;
use crate::serve::Learning;

#[test]
fn a_list_says_which_of_its_values_is_wrong() {
    let errors =
        refused("[rtsp]\nlisten = [\n  \"0.0.0.0:8554\",\n  \"localhost:8554\",\n  \"0.0.0.0:8554\",\n]\n");
    assert_says(&errors[0], &["toml:4: [rtsp] listen: \"localhost:8554\" is not an address and port"]);
    assert_says(&errors[1], &["toml:5: [rtsp] listen: 0.0.0.0:8554 is there twice"]);
    assert_says(&refused("[rtsp]\nlisten = []")[0], &["toml:2:", "0 addresses; write 1 to 64"]);
    let many: Vec<_> = (0..20_000).map(|n| format!("\"host{n}:8554\"")).collect();
    let many = refused(&format!("[rtsp]\nlisten = [{}]", many.join(", ")));
    assert_says(&many[0], &["toml:2: [rtsp] listen: 20000 addresses; write 1 to 64"]);
    assert_eq!(many.len(), 1 + 64, "what is beyond the most is not looked at");
}

#[test]
fn a_value_of_a_wrong_type_is_told_without_jargon() {
    let workers = refused("[engine]\nmedia_workers = \"two\"");
    assert_says(
        &workers[0],
        &[
            "[engine] media_workers",
            "\"two\" is a text, and a whole number without quotes is meant; write media_workers = 0",
        ],
    );
    let listen = refused("[rtsp]\nlisten = \"0.0.0.0:8554\"");
    assert_says(
        &listen[0],
        &[
            "[rtsp] listen",
            "is a text, and a list of texts in quotes is meant; write listen = [\"0.0.0.0:8554\"]",
        ],
    );
}

#[test]
fn a_timeout_is_whole_seconds_as_rtsp_has_it() {
    assert_says(&refused("[rtsp]\nsession_timeout = \"5500ms\"")[0], &["whole seconds", "write \"5s\""]);
    let silence = refused("[rtsp]\nsession_timeout = \"120s\"\nlongest_silence = \"119s\"");
    assert_says(&silence[0], &["toml:3: [rtsp] longest_silence", "below session_timeout", "write \"120s\""]);
    accepted("[rtsp]\nsession_timeout = \"120s\"\nlongest_silence = \"120s\"");
    assert_says(&refused("[rtsp]\nsession_timeout = \"1s\"")[0], &["out of bounds", "from 2s to 60min"]);
}

#[test]
fn who_may_come_back_has_no_more_time_than_who_is_there() {
    let grace = refused("[rtsp]\nsession_timeout = \"20s\"\nclose_grace = \"21s\"");
    assert_says(&grace[0], &["toml:3: [rtsp] close_grace", "above session_timeout", "write \"20s\" or less"]);
    assert_eq!(accepted("[rtsp]\nclose_grace = \"0s\"").rtsp.close_grace.as_secs(), 0);
    let default = accepted("[rtsp]\nsession_timeout = \"4s\"");
    assert_eq!(default.rtsp.close_grace.as_secs(), 4);
}

#[test]
fn clients_are_sent_to_another_server_and_not_to_this_one() {
    for (url, says) in [
        ("other.example", "is no server; write the URL of another server without a path"),
        ("rtsp://other.example/news", "is no server"),
        ("rtsp://192.0.2.1:8554", "is this server, which listens on 192.0.2.1:8554"),
    ] {
        let wrong =
            refused(&format!("[rtsp]\nlisten = [\"192.0.2.1:8554\"]\n[limits]\nredirect = \"{url}\""));
        assert_says(&wrong[0], &["toml:4: [limits] redirect", says]);
    }
    accepted("[limits]\nredirect = \"rtsp://[2001:db8::1]:8554\"");
    let out_of_tls = refused("[limits]\nredirect_tls = \"rtsp://other.example\"");
    assert_says(&out_of_tls[0], &["toml:2: [limits] redirect_tls", "leads out of TLS", "\"rtsps://\""]);
    let unused = warned("[limits]\nredirect_tls = \"rtsps://other.example\"");
    assert_says(&unused[0], &["toml:2: [limits] redirect_tls: nobody comes through TLS"]);
}

#[test]
fn a_channel_may_have_as_many_sessions_as_there_are_where_nothing_else_is_said() {
    let limits = accepted("[limits]\nsessions = 50000").limits;
    assert_eq!((limits.sessions, limits.sessions_per_channel), (50_000, 50_000));
}

#[test]
fn a_limit_of_an_address_is_within_bounds() {
    for (key, bounds) in [
        ("connections_per_address", "1 to 1000000"),
        ("unread_bytes_per_address", "65536 to 1073741824"),
        ("egress_mbit_per_address", "1 to 1000000"),
        ("egress_mbit", "1 to 1000000"),
        ("sessions_per_channel", "1 to 1000000"),
    ] {
        let wrong = format!("toml:2: [limits] {key}: 0 is out of bounds; write {bounds}");
        assert_says(&refused(&format!("[limits]\n{key} = 0"))[0], &[&wrong]);
    }
}

#[test]
fn what_packets_say_fits_in_its_field_and_is_left_to_the_system_where_nothing_is_written() {
    let channel =
        |line: &str| format!("[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:5004\"\n{line}\n");
    let marks = |line: &str| accepted(&channel(line)).channels[0].settings.marks;
    assert_eq!(marks(""), Marks::default());
    assert_eq!(marks("dscp = 0"), Marks { dscp: Some(0), ttl: None });
    assert_eq!(marks("dscp = 63\nttl = 255"), Marks { dscp: Some(63), ttl: Some(255) });
    for (line, bounds) in [("dscp = 64", "0 to 63"), ("ttl = 0", "1 to 255"), ("ttl = 256", "1 to 255")] {
        let (key, value) = line.split_once(" = ").expect("a key and its value");
        let wrong = format!("toml:4: channel \"a\" {key}: {value} is out of bounds; write {bounds}");
        assert_says(&refused(&channel(line))[0], &[&wrong]);
    }
    assert_says(
        &refused(&channel("dscp = \"EF\""))[0],
        &["\"EF\" is a text, and a whole number", "write dscp = 34"],
    );
}

#[test]
fn what_can_be_chosen_is_told() {
    let learn = |word| refused(&format!("[rtsp]\nlearn_ports = {word}")).join("\n");
    assert_says(
        &learn("\"heuristic\""),
        &[
            "toml:2: [rtsp] learn_ports: \"heuristic\" is no way",
            "write \"immediate\", \"delayed\" or \"off\"",
        ],
    );
    assert_says(&learn("true"), &["write learn_ports = \"immediate\""]);
    assert_eq!(accepted("[rtsp]\nlearn_ports = \"off\"").rtsp.learn_ports, Learning::Off);
    let transports = |list| refused(&format!("[rtsp]\ntransports = {list}")).join("\n");
    assert_says(&transports("[]"), &["toml:2: [rtsp] transports: 0 transports; write 1 to 4"]);
    assert_says(&transports("[\"tcp\", \"tcp\"]"), &["\"tcp\" is there twice; leave one out"]);
    assert_says(&transports("[\"sctp\"]"), &["\"sctp\" is no transport; write \"udp\", \"tcp\""]);
    let agents = |list| refused(&format!("[rtsp]\nrepair_agents = {list}")).join("\n");
    assert_says(
        &agents("[\"Lavf\"]"),
        &["toml:2: [rtsp] repair_agents: \"Lavf\" says not who takes what", "such as \"GStreamer/ rtx\""],
    );
    assert_says(
        &agents("[\n\"Lavf rtx\",\n\"Lavf originals\"]"),
        &["toml:4: [rtsp] repair_agents: \"Lavf\" is there twice; leave one out"],
    );
    assert_says(&agents("\"Lavf rtx\""), &["write repair_agents = [\"Lavf rtx\"]"]);
    let many: Vec<_> = (0..65).map(|number| format!("Box/{number} rtx")).collect();
    assert_says(&agents(&format!("{many:?}")), &["65 agents; write 64 or fewer"]);
    assert_eq!(accepted("[rtsp]\nrepair_agents = []").rtsp.repair_agents.0, [], "nobody is");
    let many: Vec<_> = (0..1000).map(|n| format!("\"{n}\"")).collect();
    let many = refused(&format!("[rtsp]\ntransports = [{}]", many.join(", ")));
    assert_eq!(many.len(), 1 + 4, "what is beyond the most is not looked at");
}

#[test]
fn yes_and_no_are_written_true_and_false() {
    for (line, write) in [("\"true\"", "true"), ("1", "false"), ("\"no\"", "false")] {
        assert_says(
            &refused(&format!("[rtsp]\ndont_fragment = {line}"))[0],
            &[
                "toml:2: [rtsp] dont_fragment",
                &format!("true or false is meant; write dont_fragment = {write}"),
            ],
        );
    }
}

#[test]
fn a_value_of_another_kind_is_told_with_the_kind_that_is_meant() {
    for (typed, says) in [
        (
            "[rtsp]\nsession_timeout = 60",
            "toml:2: [rtsp] session_timeout: 60 is a number, and a text in quotes is meant",
        ),
        ("[rtsp]\nsession_timeout = 60", "write session_timeout = \"60s\""),
        ("[rtsp]\nlisten = true", "true is a truth value, and a list of texts in quotes is meant"),
        ("[rtsp]\nlisten = [8554]", "8554 is a number, and a list of texts in quotes is meant"),
        ("[rtsp]\nlisten = \"[::]:8554\"", "write listen = [\"[::]:8554\"]"),
        (
            "[limits]\nsessions = \"500\"",
            "\"500\" is a text, and a whole number without quotes is meant; write sessions = 500",
        ),
        ("[limits]\nsessions = 1.5", "1.5 is a number with a fraction, and a whole number"),
        ("[limits]\nsessions = 2e4", "2e4 is a number with a fraction, and a whole number"),
        ("[limits]\nsessions = 1979-05-27", "1979-05-27 is a date, and a whole number"),
        ("[limits]\nsessions = [5]", "this is a list, and a whole number"),
        ("[limits]\nsessions = { most = 5 }", "this is a table, and a whole number"),
    ] {
        assert_says(&refused(typed)[0], &[says]);
    }
}

#[test]
fn a_number_beyond_all_bounds_is_told_as_it_was_typed() {
    for typed in ["99999999999999999999", "-99999999999999999999", "-1", "0", "0xffffffffffffffffff"] {
        let wrong = format!("toml:2: [limits] sessions: {typed} is out of bounds; write 1 to 1000000");
        assert_says(&refused(&format!("[limits]\nsessions = {typed}"))[0], &[&wrong]);
    }
    assert_eq!(accepted("[limits]\nsessions = 0x1_00").limits.sessions, 256);
}

#[test]
fn tls_is_served_with_a_pair_or_not_at_all() {
    let alone = refused("[rtsp]\ntls_listen = [\"0.0.0.0:8322\"]");
    assert_says(
        &alone[0],
        &["toml:2: [rtsp] tls_listen: certificate is missing; write certificate = \"edge.pem\""],
    );
    assert_says(&alone[1], &["toml:2: [rtsp] tls_listen: private_key is missing"]);
    for key in ["certificate = \"edge.pem\"", "private_key = \"edge.key\"", "clear_media = true"] {
        let name = key.split(' ').next().unwrap_or_default();
        let wrong = format!("toml:2: [rtsp] {name}: nothing is served with TLS; write tls_listen = ");
        assert_says(&refused(&format!("[rtsp]\n{key}"))[0], &[&wrong]);
    }
    let quoted = refused("[rtsp]\nclear_media = \"true\"");
    assert_says(&quoted[0], &["\"true\" is a text, and true or false is meant; write clear_media = true"]);
    let missing =
        "[rtsp]\ntls_listen = [\"0.0.0.0:8322\"]\ncertificate = \"a/edge.pem\"\nprivate_key = \"edge.key\"";
    let missing = refused(missing);
    assert_says(
        &missing[0],
        &["toml:3: [rtsp] certificate: a/edge.pem can not be read: there is no directory a"],
    );
    let none = refused("[rtsp]\nhttp_listen = []\ntls_listen = []");
    assert_says(&none[0], &["[rtsp] http_listen: 0 addresses; write 1 to 64, such as [\"0.0.0.0:8080\"]"]);
}
