//! Channels that are shown from files, and files that stand by.

use std::path::Path;

use super::{accepted, assert_says, refused};
use crate::ops::config::{ChannelConfig, Origin};
use crate::storage::FileSource;

const STORAGE: &str = "[storage]\ndirectory = \"kept\"\n";
const LEGS: &str = "sources = [\"udp://239.9.9.1:5004\", \"file:///srv/standby.ts\"]\n";

fn channel(lines: &str) -> String {
    format!("{STORAGE}[[channel]]\nname = \"loop\"\n{lines}\n")
}

fn of(lines: &str) -> ChannelConfig {
    accepted(&channel(lines)).channels.remove(0)
}

#[test]
fn a_channel_may_be_a_file_or_a_list_of_files() {
    let config = of("source = \"file:///srv/films/a%20b.ts\"");
    let Origin::Files(FileSource { path, goes_round }) = config.origin else { panic!("it is shown") };
    assert_eq!((&*path, goes_round), (Path::new("/srv/films/a b.ts"), true));
    assert_eq!((&*config.input, config.standby), ("file:///srv/films/a b.ts", None));
    let config = of("source = \"FILE:///srv/list.m3u\"\nloop = false");
    let Origin::Files(source) = config.origin else { panic!("it is shown") };
    assert!(source.is_list() && !source.goes_round);
}

#[test]
fn the_last_of_several_sources_may_be_a_file_that_stands_by() {
    let config = of(&format!("{LEGS}redundancy = \"failover\""));
    assert_eq!(config.origin, Origin::Groups);
    assert_eq!(config.input, "udp://239.9.9.1:5004 and file:///srv/standby.ts");
    assert_eq!(config.standby.expect("it stands by").path, Path::new("/srv/standby.ts"));
    let [track] = &config.presentation.tracks[..] else { panic!("a transport stream") };
    assert!(track.feeds.len() == 1 && track.has_standby);
}

#[test]
fn what_can_not_be_shown_is_refused_with_what_to_write() {
    for (lines, says) in [
        ("source = \"file://srv/a.ts\"", "write file:///srv/films/news.ts, the path from the root on"),
        ("source = \"file:///srv/\"", "it names a directory"),
        ("source = \"file:\"", "it names a directory"),
        ("source = \"file:///srv/a.ts\"\ninterface = \"eth0\"", "no group is joined; leave it out"),
        ("source = \"rtp://239.9.9.1:5004\"\nloop = true", "it is not shown from files"),
        (LEGS, "write redundancy = \"merge\" if"),
        (&format!("{LEGS}redundancy = \"merge\""), "no file has the packets of other sources"),
        (
            "sources = [\"file:///a.ts\", \"udp://239.9.9.1:5004\"]\nredundancy = \"failover\"",
            "it is always there, so what follows it is never taken; write it last",
        ),
    ] {
        let told = refused(&channel(lines));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_says(&told[0], &[says]);
    }
    let without = "[[channel]]\nname = \"loop\"\nsource = \"file:///a.ts\"\n";
    assert_says(&refused(without)[0], &["no [storage] directory says where indexes of files are kept"]);
}
