//! Session descriptions in a directory: each is a channel while it is there.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use crate::vocabulary::{Connection, Group, Over, Setup, Source, Viewer, eventually};

/// A directory in which operators drop descriptions.
struct Shelf(TempDir);

impl Shelf {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    /// A program that serves what is on it, as `live/…`.
    fn served(&self, setup: Setup) -> Setup {
        let path = self.0.path().display();
        setup.channel_lines(&format!("name = \"live\"\ndirectory = \"{path}\"\ninterface = \"lo\""))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.sdp"))
    }

    /// Puts a description there, as a whole.
    fn put(&self, name: &str, sdp: &str) {
        let aside = self.0.path().join(".aside");
        fs::write(&aside, sdp).expect("written");
        fs::rename(aside, self.file(name)).expect("moved");
    }

    fn take(&self, name: &str) {
        fs::remove_file(self.file(name)).expect("it is there");
    }
}

fn sdp(group: Group) -> String {
    let (address, port) = (group.0.ip(), group.0.port());
    format!("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=x\nc=IN IP4 {address}/8\nt=0 0\nm=video {port} RTP/AVP 33\n")
}

fn status(address: std::net::SocketAddr, channel: &str) -> u16 {
    let uri = format!("rtsp://{address}/{channel}");
    Connection::open(address).request("DESCRIBE", &uri, &[]).status
}

#[test]
fn what_is_put_there_is_served_and_what_is_taken_away_is_not() {
    let (shelf, mut source) = (Shelf::new(), Source::new());
    shelf.put("first", &sdp(Group::fresh()));
    let mirrorball = shelf.served(Setup::new()).start();
    let serves = |channel: &str, as_is: u16| {
        eventually(&format!("{channel} is {as_is}"), || {
            (status(mirrorball.rtsp, channel) == as_is).then_some(())
        });
    };
    assert_eq!(mirrorball.udp_sockets(), 2, "of media and of reports");
    assert_eq!(status(mirrorball.rtsp, "live/first"), 200, "it was there at the start");
    shelf.put("second", &sdp(source.group));
    serves("live/second.sdp", 200);
    let mut viewer = Viewer::playing(&mirrorball, "live/second", Over::Tcp);
    source.send(5);
    viewer.expect_packets(&source, 0..5);
    shelf.take("second");
    serves("live/second", 404);
    assert!(viewer.connection.is_closed_within(Duration::from_secs(5)), "its channel has ended");
    viewer.vanish();
    assert!(!source.group.is_joined());
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "channel gone")], 1.0);
    mirrorball.expect_metric("mirrorball_channel_packets_total", &[("channel", "live/second")], 0.0);
    assert_eq!(mirrorball.udp_sockets(), 2);
}

#[test]
fn a_description_that_changes_leads_its_viewers_to_the_other_source() {
    let (shelf, mut before, mut after) = (Shelf::new(), Source::new(), Source::new());
    shelf.put("news", &sdp(before.group));
    let mirrorball = shelf.served(Setup::new()).start();
    let mut viewer = Viewer::playing(&mirrorball, "live/news", Over::Udp);
    before.send(3);
    viewer.expect_packets(&before, 0..3);
    shelf.put("news", &sdp(after.group));
    eventually("the other one is joined", || after.group.is_joined().then_some(()));
    assert!(!before.group.is_joined());
    after.send(3);
    viewer.expect_packets(&after, 0..3);
    mirrorball.expect_metric("mirrorball_sessions_ended_total", &[], 0.0);
}

#[test]
fn what_is_wrong_there_is_told_and_disturbs_nobody() {
    let (shelf, mut source) = (Shelf::new(), Source::new());
    shelf.put("news", &sdp(source.group));
    shelf.put("broken", "v=0\nm=video\n");
    let setup = shelf.served(Setup::new().channel("live/taken", Group::fresh()));
    let mirrorball = setup.start();
    mirrorball.expect_logged("not served: ", 1);
    let mut viewer = Viewer::playing(&mirrorball, "live/news", Over::Udp);
    shelf.put("taken", &sdp(Group::fresh()));
    mirrorball.expect_logged("live/taken is another channel's already", 1);
    shelf.put("news", "v=0\nm=video\n");
    mirrorball.expect_logged("the channel stays as it was", 1);
    source.send(3);
    viewer.expect_packets(&source, 0..3);
    let aside = shelf.0.path().with_extension("aside");
    fs::rename(shelf.0.path(), &aside).expect("moved");
    mirrorball.expect_logged("its channels stay as they were", 1);
    source.send(3);
    viewer.expect_packets(&source, 3..6);
    fs::rename(&aside, shelf.0.path()).expect("moved back");
    mirrorball.expect_logged("the directory can be read again", 1);
    shelf.put("broken", &sdp(Group::fresh()));
    eventually("it is mended", || (status(mirrorball.rtsp, "live/broken") == 200).then_some(()));
}
