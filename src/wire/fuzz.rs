//! The fuzz targets as tests: what they exercise is compiled and their seeds are replayed by `cargo test`, so
//! that fuzz code never rots and its findings stay fixed.

use crate::wire; // what the exercises know the wire floor as

#[path = "../../fuzz/exercise/authorization.rs"]
pub mod authorization;
#[path = "../../fuzz/exercise/film.rs"]
pub mod film;
#[path = "../../fuzz/exercise/place.rs"]
pub mod place;
#[path = "../../fuzz/exercise/psi.rs"]
pub mod psi;
#[path = "../../fuzz/exercise/random_access.rs"]
pub mod random_access;
#[path = "../../fuzz/exercise/recording.rs"]
pub mod recording;
#[path = "../../fuzz/exercise/rtcp.rs"]
pub mod rtcp;
#[path = "../../fuzz/exercise/rtp.rs"]
pub mod rtp;
#[path = "../../fuzz/exercise/rtsp.rs"]
pub mod rtsp;
#[path = "../../fuzz/exercise/sap.rs"]
pub mod sap;
#[path = "../../fuzz/exercise/sdp.rs"]
pub mod sdp;
#[path = "../../fuzz/exercise/transport.rs"]
pub mod transport;
#[path = "../../fuzz/exercise/tunnel.rs"]
pub mod tunnel;

/// Runs `exercise` over every file of `fuzz/seeds/<target>/`.
fn replay(target: &str, exercise: impl Fn(&[u8])) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).expect("a folder of seeds") {
        let path = entry.expect("a readable folder").path();
        exercise(&std::fs::read(&path).expect("a readable seed"));
        replayed += 1;
    }
    assert!(replayed > 0, "no seeds in {}", folder.display());
}

#[test]
fn rtp_seeds_replay() {
    replay("rtp", rtp::exercise);
}

#[test]
fn rtcp_seeds_replay() {
    replay("rtcp", rtcp::exercise);
}

#[test]
fn sdp_seeds_replay() {
    replay("sdp", sdp::exercise);
}

#[test]
fn rtsp_seeds_replay() {
    replay("rtsp", rtsp::exercise);
}

#[test]
fn transport_seeds_replay() {
    replay("transport", transport::exercise);
}

#[test]
fn tunnel_seeds_replay() {
    replay("tunnel", tunnel::exercise);
}

#[test]
fn authorization_seeds_replay() {
    replay("authorization", authorization::exercise);
}

#[test]
fn place_seeds_replay() {
    replay("place", place::exercise);
}

#[test]
fn psi_seeds_replay() {
    replay("psi", psi::exercise);
}

#[test]
fn random_access_seeds_replay() {
    replay("random_access", random_access::exercise);
}

#[test]
fn sap_seeds_replay() {
    replay("sap", sap::exercise);
}

#[test]
fn film_seeds_replay() {
    replay("film", film::exercise);
}

#[test]
fn recording_seeds_replay() {
    replay("recording", recording::exercise);
}
