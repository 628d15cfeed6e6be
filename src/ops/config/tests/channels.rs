//! Channels: their names, inputs, groups and interfaces.

use std::time::Duration;

use super::{Interface, accepted, assert_says, refused, warned};
use crate::ingest::Redundancy;
use crate::wire::failover::Rules;

#[test]
fn channels_are_told_apart_by_name_and_by_source() {
    let channel =
        |name: &str, source: &str| format!("[[channel]]\nname = \"{name}\"\nsource = \"{source}\"\n");
    let same_port = channel("a", "rtp://239.9.9.1:5004") + &channel("b", "rtp://239.9.9.2:5004");
    assert_eq!(accepted(&same_port).channels.len(), 2);
    let same_name = channel("a", "rtp://239.9.9.1:5004") + &channel("a", "rtp://239.9.9.2:5004");
    assert_says(&refused(&same_name)[0], &["toml:5: channel \"a\": the name is line 2's already"]);
    let same_source = channel("a", "rtp://239.9.9.1:5004") + &channel("b", "rtp://239.9.9.1:5004");
    assert_says(
        &refused(&same_source)[0],
        &["toml:6: channel \"b\": 239.9.9.1:5004 is taken by channel \"a\" in line 3"],
    );
}

#[test]
fn a_channel_has_one_input() {
    let both = "[[channel]]\nname = \"a\"\nsource = \"rtp://239.9.9.1:5004\"\nsdp = \"a.sdp\"\n";
    assert_says(&refused(both)[0], &["toml:4: channel \"a\": both source and sdp; leave one out"]);
    let nameless = "[[channel]]\nsource = \"rtp://239.9.9.1:5004\"\n";
    assert_says(&refused(nameless)[0], &["toml:1: [[channel]]: no name; write one such as"]);
    let slip = refused("[[channel]]\nname = \"a\"\nsorce = \"rtp://239.9.9.1:5004\"\n");
    assert_eq!(slip.len(), 1, "one slip is one error: {slip:#?}");
    assert_says(&slip[0], &["toml:3: channel \"a\": unknown key `sorce`; did you mean `source`?"]);
}

#[test]
fn an_interface_is_named_once() {
    let channel = |source: &str, interface: &str| {
        format!("[[channel]]\nname = \"a\"\nsource = \"{source}\"\ninterface = \"{interface}\"\n")
    };
    let in_url = "[[channel]]\nname = \"a\"\nsource = \"rtp://eth1@239.9.9.1:5004\"\n";
    assert_eq!(accepted(in_url).channels[0].settings.interface, Some(Interface::Name("eth1".into())));
    let agreeing = accepted(&channel("rtp://eth1@239.9.9.1:5004", "eth1"));
    assert_eq!(agreeing.channels[0].settings.interface, Some(Interface::Name("eth1".into())));
    let errors = refused(&channel("rtp://eth1@239.9.9.1:5004", "eth0"));
    assert_says(&errors[0], &["the source names interface eth1, the key eth0; leave one out"]);
    assert_says(
        &refused(&channel("rtp://239.9.9.1:5004", "eth 0"))[0],
        &["channel \"a\" interface", "ip -brief"],
    );
}

#[test]
fn what_any_address_of_this_machine_is_sent_is_the_only_thing_on_its_port() {
    let channel =
        |name: &str, source: &str| format!("[[channel]]\nname = \"{name}\"\nsource = \"{source}\"\n");
    for (first, second) in [
        ("udp://@:5004", "rtp://239.9.9.1:5004"),
        ("rtp://239.9.9.1:5003", "udp://@:5004"),
        ("udp://@:5004", "udp://192.0.2.1:5004"),
    ] {
        let errors = refused(&(channel("a", first) + &channel("b", second)));
        assert_says(
            &errors[0],
            &["toml:6: channel \"b\": port 5004 is channel \"a\"'s in line 3 too; name the address"],
        );
    }
    for (first, second) in [
        ("udp://@:5004", "rtp://239.9.9.1:5006"),
        ("udp://@:5004", "rtp://[ff15::1]:5004"),
        ("udp://192.0.2.1:5004", "rtp://239.9.9.1:5004"),
        ("udp://192.0.2.1:5004", "udp://192.0.2.2:5004"),
    ] {
        assert_eq!(accepted(&(channel("a", first) + &channel("b", second))).channels.len(), 2);
    }
}

fn from(source: &str) -> String {
    format!("[[channel]]\nname = \"a\"\nsource = \"{source}\"\n")
}

#[test]
fn a_zone_is_the_interface() {
    let config = accepted(&from("rtp://[ff02::1%eth0]:5004"));
    assert_eq!(config.channels[0].settings.interface, Some(Interface::Name("eth0".into())));
    let errors = refused(&(from("rtp://[ff02::1%eth0]:5004") + "interface = \"eth1\""));
    assert_says(
        &errors[0],
        &["toml:3: channel \"a\": the source names interface eth0, the key eth1; leave one out"],
    );
}

#[test]
fn a_group_of_each_link_needs_its_interface() {
    let errors = refused(&from("rtp://[ff02::1]:5004"));
    assert_says(&errors[0], &["toml:3: channel \"a\": ff02::1 is one of each link", "interface = \"eth0\""]);
    accepted(&(from("rtp://[ff02::1]:5004") + "interface = \"eth0\""));
    assert_says(&refused(&from("rtp://eth0@[ff01::1]:5004"))[0], &["ff01::1 never leaves a machine"]);
    assert_says(&refused(&from("rtp://[ff10::1]:5004"))[0], &["scope 0"]);
}

#[test]
fn a_group_for_something_else_is_told_of() {
    assert_says(
        &warned(&from("rtp://224.0.0.5:5004"))[0],
        &["toml:3: channel \"a\": 224.0.0.5 is of the block", "RFC 5771"],
    );
    assert_says(&warned(&from("rtp://232.1.1.1:5004"))[0], &["232.1.1.1 is for a source that is named"]);
    assert!(warned(&from("rtp://239.1.1.1:5004")).is_empty());
    assert!(warned(&from("rtp://10.0.0.1@232.1.1.1:5004")).is_empty());
}

#[test]
fn neighbouring_ports_of_a_group_are_as_good_as_any() {
    let second = |port: u16| {
        from("rtp://239.9.9.1:5004")
            + &format!("[[channel]]\nname = \"b\"\nsource = \"rtp://239.9.9.1:{port}\"\n")
    };
    for port in [5003, 5005, 5006] {
        assert!(warned(&second(port)).is_empty(), "{port}");
    }
}

#[test]
fn when_a_channel_is_joined_is_said_clearly_or_not_at_all() {
    let channel =
        |lines: &str| format!("[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n{lines}\n");
    let on_demand = |lines: &str| accepted(&channel(lines)).channels[0].settings.on_demand;
    assert_eq!([on_demand(""), on_demand("join = \"always\"")], [None, None]);
    assert_eq!(on_demand("join = \"on-demand\""), Some(Duration::from_secs(10)));
    assert_eq!(on_demand("join = \"on-demand\"\nlinger = \"0s\""), Some(Duration::ZERO));
    let wrong = &refused(&channel("join = \"sometimes\"\nlinger = \"5s\""));
    let [wrong] = &wrong[..] else { panic!("one slip is one error: {wrong:#?}") };
    assert_says(wrong, &["toml:4: channel \"news\" join: \"sometimes\" says not when; write \"always\" or"]);
    let useless = warned(&channel("linger = \"5s\""));
    assert_says(
        &useless[0],
        &["toml:4: channel \"news\" linger: it is joined always; add join = \"on-demand\""],
    );
}

fn sources(lines: &str) -> String {
    let sources = "sources = [\"rtp://eth0@239.9.9.1:5004\", \"rtp://239.9.10.1:5004\"]";
    format!("[[channel]]\nname = \"a\"\n{sources}\n{lines}\n")
}

#[test]
fn several_sources_are_one_stream_as_it_is_said() {
    let legs = |lines: &str| accepted(&sources(lines)).channels[0].settings.clone();
    let merged = legs("redundancy = \"merge\"");
    assert_eq!(merged.redundancy, Redundancy::Merge { skew: Duration::from_millis(50) });
    assert_eq!(merged.interfaces, [Some(Interface::Name("eth0".into())), None]);
    let on = legs("redundancy = \"merge\"\nskew = \"200ms\"\ninterfaces = [\"eth0\", \"eth1\"]");
    assert_eq!(on.redundancy, Redundancy::Merge { skew: Duration::from_millis(200) });
    assert_eq!(on.interfaces, ["eth0", "eth1"].map(|name| Some(Interface::Name(name.into()))));
    let rules =
        legs("redundancy = \"failover\"\nfailover_after = \"100ms\"\nreturn_after = \"1min\"").redundancy;
    assert_eq!(
        rules,
        Redundancy::Failover(Rules {
            failover_after: Duration::from_millis(100),
            failover_loss: 5,
            return_after: Duration::from_secs(60),
        })
    );
    let channel = &accepted(&sources("redundancy = \"failover\"")).channels[0];
    assert_eq!(channel.input, "rtp://eth0@239.9.9.1:5004 and rtp://239.9.10.1:5004");
    assert_eq!(channel.presentation.tracks[0].feeds.len(), 2);
}

#[test]
fn what_is_wrong_with_legs_is_told_with_its_remedy() {
    for (lines, says) in [
        (
            "",
            "toml:3: channel \"a\": several sources; write redundancy = \"merge\" if they carry the same packets",
        ),
        (
            "redundancy = \"both\"",
            "toml:4: channel \"a\" redundancy: \"both\" says not how; write \"merge\" or",
        ),
        ("redundancy = \"merge\"\nskew = \"2s\"", "toml:5: channel \"a\" skew: \"2s\" is out of bounds"),
        (
            "redundancy = \"merge\"\ninterfaces = [\"eth0\"]",
            "toml:5: channel \"a\" interfaces: 1 of them for 2; write one for each source",
        ),
        (
            "redundancy = \"merge\"\ninterface = \"eth0\"\ninterfaces = [\"eth0\", \"eth1\"]",
            "toml:6: channel \"a\": both interface and interfaces; leave one out",
        ),
        (
            "redundancy = \"merge\"\ninterfaces = [\"eth1\", \"eth0\"]",
            "toml:3: channel \"a\": the source names interface eth0, the key eth1; leave one out",
        ),
    ] {
        let errors = refused(&sources(lines));
        assert_eq!(errors.len(), 1, "{lines}: {errors:#?}");
        assert_says(&errors[0], &[says]);
    }
    let of = |sources: &str| {
        refused(&format!("[[channel]]\nname = \"a\"\nredundancy = \"merge\"\nsources = {sources}\n"))
    };
    let (one, two) = ("\"rtp://239.9.9.1:5004\"", "\"udp://239.9.10.1:5004\"");
    for (sources, says) in [
        (format!("[{one}]"), "toml:4: channel \"a\" sources: 1 of them; write 2 to 8, or source = for one"),
        (
            format!("[{one}, {one}]"),
            "toml:4: channel \"a\": leg 2 is leg 1 again; if they come by two networks",
        ),
        (format!("[{one}, {two}]"), "toml:4: channel \"a\": sources of several kinds; write rtp://"),
        (
            format!("[{one}, \"rtp://239.9.9.1\"]"),
            "toml:4: channel \"a\": source \"rtp://239.9.9.1\": the port is",
        ),
        (
            format!("[{two}, \"udp://239.9.9.1:5004\"]"),
            "toml:3: channel \"a\" redundancy: without RTP packets have no numbers to merge them by",
        ),
    ] {
        let errors = of(&sources);
        assert_eq!(errors.len(), 1, "{sources}: {errors:#?}");
        assert_says(&errors[0], &[says]);
    }
    let both = sources("source = \"rtp://239.9.9.1:5004\"");
    assert_says(&refused(&both)[0], &["toml:3: channel \"a\": both source and sources; leave one out"]);
    assert_says(
        &refused(&(from("rtp://239.9.9.1:5004") + "redundancy = \"merge\""))[0],
        &["toml:4: channel \"a\" redundancy: there is one source; write sources = ["],
    );
    assert_says(
        &warned(&sources("redundancy = \"merge\"\nreturn_after = \"5s\""))[0],
        &["toml:5: channel \"a\" return_after: it is for redundancy = \"failover\" alone; leave it out"],
    );
}
