//! What a server's viewers leave behind with.

use std::collections::HashMap;
use std::sync::Arc;

use crate::event::clock;

use super::super::attendance::Packed;
use super::super::rtsp_server::RtspServer;
use super::household::{Numbered, PairParcel, Removal};

impl RtspServer {
    /// All that moves of its viewers, as it stands: neither queue is to run a task meanwhile, nor after, if it is settled elsewhere.
    pub fn pack(&self) -> Removal {
        let mut removal = Removal::default();
        let now = clock::now();
        let Removal { household, descriptors, left_behind } = &mut removal;
        for channel in self.catalogue.channels() {
            let numbered =
                channel.tracks.iter().filter_map(|track| Some((track.number, track.signpost(now)?)));
            household.numbered.extend(numbered.map(|(track, signpost)| Numbered {
                channel: channel.name.clone(),
                track,
                signpost,
            }));
        }
        for pair in self.pairs.all() {
            household.pairs.push(PairParcel { local: pair.local(), port: pair.port });
            descriptors.extend([pair.rtp.current() as _, pair.rtcp.current() as _]);
        }
        let mut places = HashMap::new();
        for Packed { parcel, socket, home } in self.attendance.all().iter().filter_map(|one| one.pack()) {
            places.extend(home.map(|home| (Arc::as_ptr(&home), household.connections.len())));
            household.connections.push(parcel);
            descriptors.push(socket);
        }
        for session in self.sessions.all() {
            match session.pack(|home| places.get(&Arc::as_ptr(home)).copied(), now) {
                Some(parcel) => household.sessions.push(parcel),
                None => *left_behind += 1,
            }
        }
        removal
    }
}
