//! Whose announcements are taken, and what is announced.

use std::time::Duration;

use super::super::Interface;
use super::{accepted, refused, warned};
use crate::wire::sap::GROUPS;

const NEWS: &str = "[[channel]]\nname = \"news\"\nsource = \"rtp://239.9.9.1:5004\"\n";

/// One of them is about this line, and says all of this.
#[track_caller]
fn assert_line(all: &[String], line: usize, parts: &[&str]) {
    let mut of_line = all.iter().filter(|text| text.starts_with(&format!("mirrorball.toml:{line}")));
    let says = |text: &String| parts.iter().all(|part| text.contains(part));
    assert!(of_line.any(says), "line {line}, {parts:?}: {all:#?}");
}

#[test]
fn without_a_word_nothing_is_listened_to_and_nothing_announced() {
    let config = accepted(&format!("{NEWS}multicast_out = \"239.2.2.2:5000\"\n"));
    assert_eq!(config.sap, None);
    assert!(config.channels[0].multicast_out.as_ref().is_some_and(|out| !out.is_announced));
}

#[test]
fn who_listens_has_defaults_for_all_but_whom_he_believes() {
    let config = accepted(&format!("[sap]\nlisten = true\norigins = [\"192.0.2.0/24\"]\n{NEWS}"));
    let sap = config.sap.expect("listened to");
    assert_eq!(
        (sap.groups, sap.interface, sap.on_demand),
        (GROUPS.into(), None, Some(Duration::from_secs(10)))
    );
    assert_eq!(sap.rules.origins, ["192.0.2.0/24".parse().expect("a network")]);
    assert_eq!((sap.rules.sessions, sap.rules.sessions_per_sender), (64, 32));
    assert_eq!((sap.rules.timeout, sap.rules.prefix.as_str()), (Duration::from_secs(3600), "sap/"));
}

#[test]
fn each_key_of_sap_is_heeded() {
    let config = accepted(&format!(
        "[sap]\nlisten = true\norigins = [\"192.0.2.7\", \"2001:db8::/32\"]\ngroups = [\"239.255.255.255\", \"ff05::2:7ffe\"]\n\
         interface = \"eth1\"\nsessions = 10\nsessions_per_sender = 3\ntimeout = \"10min\"\nprefix = \"\"\njoin = \"always\"\n\
         announce = true\n{NEWS}multicast_out = \"239.2.2.2:5000\"\n\
         [[channel]]\nname = \"quiet\"\nsource = \"rtp://239.9.9.2:5004\"\nmulticast_out = \"239.2.2.4:5000\"\nannounce = false\n"
    ));
    let sap = config.sap.expect("listened to");
    assert_eq!((sap.rules.sessions, sap.rules.sessions_per_sender), (10, 3));
    assert_eq!((sap.rules.timeout, sap.rules.prefix.as_str()), (Duration::from_secs(600), ""));
    assert_eq!((sap.groups.len(), sap.rules.origins.len(), sap.on_demand), (2, 2, None));
    assert_eq!(sap.interface, Some(Interface::Name("eth1".into())));
    let announced = config
        .channels
        .iter()
        .map(|channel| channel.multicast_out.as_ref().is_some_and(|out| out.is_announced));
    assert_eq!(announced.collect::<Vec<_>>(), [true, false]);
}

#[test]
fn who_listens_says_whom_he_believes() {
    let problems = refused(&format!("[sap]\nlisten = true\n{NEWS}"));
    assert_line(&problems, 2, &["[sap] listen", "write origins = [\"192.0.2.0/24\"]"]);
    let problems = refused(&format!("[sap]\nlisten = true\norigins = []\n{NEWS}"));
    assert_line(&problems, 3, &["[sap] origins: 0 entries"]);
}

#[test]
fn what_can_not_be_listened_to_is_refused() {
    let problems = refused(&format!(
        "[sap]\nlisten = true\norigins = [\"192.0.2.0/24\"]\ngroups = [\"192.0.2.1\", \"239.1.1.1\", \"239.1.1.1\"]\nprefix = \"a b/\"\n\
         timeout = \"1s\"\nsessions = 5000\n{NEWS}announce = true\n"
    ));
    assert_line(&problems, 4, &["[sap] groups: \"192.0.2.1\" is no multicast group"]);
    assert_line(&problems, 4, &["239.1.1.1 is there twice"]);
    assert_line(&problems, 5, &["[sap] prefix: \"a b/\" begins no channel's name"]);
    assert_line(&problems, 6, &["[sap] timeout", "10s to 24h"]);
    assert_line(&problems, 7, &["[sap] sessions: 5000 is out of bounds"]);
    assert_line(&problems, 11, &["announce: without multicast_out it does nothing"]);
}

#[test]
fn what_is_about_listening_is_of_no_use_without_it() {
    let notes = warned(&format!("[sap]\nannounce = true\ntimeout = \"10min\"\n{NEWS}"));
    assert_line(&notes, 3, &["[sap]", "add listen = true"]);
}
