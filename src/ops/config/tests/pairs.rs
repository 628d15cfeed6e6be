//! Keys of which one would make another useless.

use super::{Interface, accepted, assert_says, refused, warned};

#[test]
fn listeners_that_take_each_others_port_are_told_with_both_keys_and_lines() {
    for (listen, admin, says) in [
        (
            "\"0.0.0.0:8554\", \"10.0.0.1:8554\"",
            "127.0.0.1:9469",
            "toml:2: [rtsp] listen: the port of 10.0.0.1:8554 is taken by 0.0.0.0:8554 of [rtsp] listen in line 2",
        ),
        (
            "\"10.0.0.1:8554\", \"0.0.0.0:8554\"",
            "127.0.0.1:9469",
            "the port of 0.0.0.0:8554 is taken by 10.0.0.1:8554",
        ),
        ("\"[::]:8554\", \"[::1]:8554\"", "127.0.0.1:9469", "(:: is every address)"),
        (
            "\"127.0.0.1:9469\"",
            "127.0.0.1:9469",
            "toml:4: [admin] listen: the port of 127.0.0.1:9469 is taken by 127.0.0.1:9469 of [rtsp] listen in line 2",
        ),
        (
            "\"0.0.0.0:9469\"",
            "127.0.0.1:9469",
            "toml:4: [admin] listen: the port of 127.0.0.1:9469 is taken by 0.0.0.0:9469 of [rtsp] listen in line 2 (0.0.0.0 is every address)",
        ),
        (
            "\"[fe80::1%2]:9469\"",
            "[fe80::1%2]:9469",
            "toml:4: [admin] listen: the port of [fe80::1%2]:9469 is taken",
        ),
        ("\"0.0.0.0:9469\"", "[::]:9469", "toml:4: [admin] listen: the port of [::]:9469 is taken"),
    ] {
        let errors = refused(&format!("[rtsp]\nlisten = [{listen}]\n[admin]\nlisten = \"{admin}\"\n"));
        assert_eq!(errors.iter().filter(|error| !error.contains("note: ")).count(), 1, "{errors:#?}");
        assert_says(&errors[0], &[says, "write another port"]);
    }
    let by_default = refused("[rtsp]\nlisten = [\"0.0.0.0:9469\"]\n");
    assert_says(
        &by_default[0],
        &["toml:2: [rtsp] listen", "is taken by 127.0.0.1:9469 of [admin] listen by default"],
    );
    let by_default = refused("[admin]\nlisten = \"127.0.0.1:8554\"\n");
    assert_says(
        &by_default[0],
        &["toml:2: [admin] listen", "is taken by 0.0.0.0:8554 of [rtsp] listen by default"],
    );
}

#[test]
fn listeners_that_leave_each_other_alone_are_right() {
    for (listen, admin) in [
        ("\"0.0.0.0:8554\", \"[::]:8554\"", "[::1]:8555"),
        ("\"10.0.0.1:8554\", \"10.0.0.2:8554\"", "10.0.0.3:8554"),
        ("\"127.0.0.1:0\", \"0.0.0.0:0\"", "127.0.0.1:0"),
        ("\"0.0.0.0:9469\"", "[::1]:9469"),
        ("\"[fe80::1%2]:8554\", \"[fe80::1%3]:8554\"", "[fe80::1%4]:8554"),
    ] {
        let notes = warned(&format!("[rtsp]\nlisten = [{listen}]\n[admin]\nlisten = \"{admin}\"\n"));
        assert!(notes.iter().all(|note| note.contains("no address of loopback")), "{notes:#?}");
    }
}

fn channel(port: u16) -> String {
    format!("[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:{port}\"\n")
}

#[test]
fn a_channels_ports_are_not_those_that_media_leaves_from() {
    let default = warned(&channel(6980));
    assert_says(&default[0], &["toml:3: channel \"a\": UDP port 6980", "udp_ports (6970-6999, by default)"]);
    let reports = warned(&("[rtsp]\nudp_ports = \"7000-7003\"\n".to_owned() + &channel(6999)));
    assert_says(&reports[0], &["toml:5: channel \"a\": UDP port 7000", "udp_ports (7000-7003, in line 2)"]);
    let all = refused(&("[rtsp]\nudp_ports = \"7000-7001\"\n".to_owned() + &channel(7000)));
    assert_says(&all[0], &["toml:2: [rtsp] udp_ports: all of 7000-7001 are ports of channels"]);
    assert!(warned(&("[rtsp]\nudp_ports = \"0\"\n".to_owned() + &channel(6980))).is_empty());
    let of_another_family = "[[channel]]\nname = \"a\"\nsource = \"rtp://[ff15::1]:6980\"\n";
    assert!(warned(of_another_family).is_empty());
}

#[test]
fn a_limit_of_an_address_above_that_of_all_limits_nothing() {
    for key in ["connections", "sessions"] {
        let notes = warned(&format!("[limits]\n{key} = 100\n{key}_per_address = 101\n"));
        assert_says(&notes[0], &[&format!("toml:3: [limits] {key}_per_address: 101 is above {key} (100)")]);
        assert!(warned(&format!("[limits]\n{key} = 100\n{key}_per_address = 100\n")).is_empty());
        assert!(warned(&format!("[limits]\n{key} = 100\n")).is_empty(), "the default is nobody's slip");
    }
    let of_all = warned("[limits]\negress_mbit = 100\negress_mbit_per_address = 101\n");
    assert_says(&of_all[0], &["toml:3: [limits] egress_mbit_per_address: 101 is above egress_mbit (100)"]);
}

#[test]
fn a_limit_of_a_channel_above_that_of_all_limits_nothing() {
    let of_each = warned("[limits]\nsessions = 100\nsessions_per_channel = 101\n");
    assert_says(&of_each[0], &["toml:3: [limits] sessions_per_channel: 101 is above sessions (100)"]);
    let of_one = |sessions: u32| {
        format!(
            "[limits]\nsessions = 100\nsessions_per_channel = 50\n{}sessions = {sessions}\n",
            channel(5004)
        )
    };
    assert_says(
        &warned(&of_one(101))[0],
        &["toml:7: channel \"a\": sessions: 101 is above [limits] sessions (100)"],
    );
    assert!(warned(&of_one(100)).is_empty(), "more than others have is what it is for");
    let none = refused(&of_one(0));
    assert_says(&none[0], &["toml:7: channel \"a\" sessions: 0 is out of bounds; write 1 to 1000000"]);
}

#[test]
fn a_ring_holds_what_waits() {
    let resting =
        |ring: &str, coalesce: &str| format!("[ring]\n{ring}\n{}coalesce = \"{coalesce}\"\n", channel(5004));
    let lost = refused(&resting("max_age = \"100ms\"", "100ms"));
    assert_says(&lost[0], &["toml:6: channel \"a\": packets that wait 100ms are lost", "[ring] max_age"]);
    let close = warned(&resting("max_age = \"100ms\"", "51ms"));
    assert_says(&close[0], &["toml:6: channel \"a\": coalesce is more than half of [ring] max_age (100ms)"]);
    assert!(warned(&resting("max_age = \"100ms\"", "50ms")).is_empty());
    let bytes = warned(&resting("max_bytes = 65536", "100ms"));
    assert_says(
        &bytes[1],
        &["toml:6: channel \"a\": packets wait up to 100ms", "max_bytes = 65536 has room at 5 Mbit/s"],
    );
    let auto = warned(&resting("max_bytes = 65536", "auto"));
    assert_says(&auto[1], &["toml:2: coalesce = \"auto\": packets wait up to 20ms", "at 26 Mbit/s and less"]);
    let of_starts = |warnings: &[String]| warnings.iter().filter(|one| one.contains("starts_lost")).count();
    for (ring, coalesce, starts) in [("1048576", "auto", 1), ("65536", "0ms", 1), ("5000000", "auto", 0)] {
        let said = warned(&resting(&format!("max_bytes = {ring}"), coalesce));
        assert_eq!((said.len(), of_starts(&said)), (starts, starts), "{said:?}");
    }
    assert_says(
        &warned(&resting("max_bytes = 1048576", "auto"))[0],
        &["toml:2: [ring] max_bytes = 1048576 has room for 4s of 2.1 Mbit/s"],
    );
}

#[test]
fn a_channel_counts_as_silent_before_its_viewers_have_gone() {
    let silent = |after: &str| {
        warned(&format!("[rtsp]\nlongest_silence = \"60s\"\n{}silent_after = \"{after}\"\n", channel(5004)))
    };
    assert_says(
        &silent("61s")[0],
        &["toml:6: channel \"a\": silent_after is above [rtsp] longest_silence (60s)"],
    );
    assert!(silent("60s").is_empty());
}

#[test]
fn a_key_that_is_wrong_makes_no_pair() {
    for (wrong, of_another) in [
        ("[limits]\nsessions = 20k\nsessions_per_address = 30000\n", "30000"),
        ("[limits]\nsessions = 0\nsessions_per_address = 30000\n", "30000"),
        ("[rtsp]\nlisten = [\"0.0.0.0:9469\"]\n[admin]\nlisten = 5\n", "is taken"),
        ("[rtsp]\nudp_ports = 6970\n[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:6980\"\n", "6980"),
    ] {
        let errors = refused(wrong);
        assert!(errors.len() == 1 && !errors[0].contains(of_another), "{errors:#?}");
    }
}

#[test]
fn a_group_that_a_channel_is_sent_to_is_no_source_and_no_other_channels() {
    let channel = |name: &str, source: &str, out: &str| {
        format!("[[channel]]\nname = \"{name}\"\nsource = \"rtp://{source}\"\n{out}\n")
    };
    let to = |out: &str| format!("multicast_out = \"{out}\"");
    let own = refused(&channel("a", "239.9.9.1:5004", &to("239.9.9.1:6000")));
    assert_says(&own[0], &["toml:4: channel \"a\" multicast_out", "channel \"a\" comes from", "a loop"]);
    let first = channel("a", "239.9.9.1:5004", &to("239.2.2.2:5000"));
    let loops = refused(&(first.clone() + &channel("b", "239.2.2.2:7000", "")));
    assert_says(&loops[0], &["toml:4:", "channel \"b\" comes from", "write another group"]);
    let twice = refused(&(first.clone() + &channel("b", "239.9.9.2:5004", &to("239.2.2.2:6000"))));
    assert_says(&twice[0], &["toml:8: channel \"b\" multicast_out", "channel \"a\"'s already"]);
    let config = accepted(&(first + "multicast_out_ttl = 4\nmulticast_out_interface = \"eth1\"\n"));
    let out = config.channels[0].multicast_out.as_ref().expect("a group");
    assert_eq!((out.group.to_string().as_str(), out.ttl), ("239.2.2.2:5000", 4));
    assert_eq!(out.interface, Some(Interface::Name("eth1".to_owned())));
    for key in ["multicast_out_ttl = 4", "multicast_out_interface = \"eth1\""] {
        let idle = refused(&channel("a", "239.9.9.1:5004", key));
        assert_says(
            &idle[0],
            &["toml:4: channel \"a\" multicast_out_", "without multicast_out it does nothing"],
        );
    }
}

#[test]
fn a_group_that_nobody_may_ask_for_is_noted() {
    let with = |transports: &str| {
        let channel = "[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:5004\"\n";
        warned(&format!("[rtsp]\ntransports = [{transports}]\n{channel}multicast_out = \"239.2.2.2:5000\"\n"))
    };
    assert_says(&with("\"udp\"")[0], &["toml:6: channel \"a\": multicast_out is of no use", "add it there"]);
    assert!(with("\"udp\", \"multicast\"").is_empty());
}
