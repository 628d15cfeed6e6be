//! What must hold of any conversation, whatever a server says and whenever.

use std::time::{Duration, Instant};

use crate::event::clock;
use crate::wire::rtsp::framing::{self, FROM_CLIENTS, FROM_SERVERS};
use crate::wire::rtsp::{Answers, Incoming, Login, Url, Wish};

use super::action::{Action, End};
use super::conversation::{Conversation, Strays};
use super::journey::Journey;
use super::silence::SilenceLimit;

/// What a server may say, of which bytes choose.
const SAID: [&str; 20] = [
    "RTSP/1.0 200 OK\r\nCSeq: {}\r\n\r\n",
    "RTSP/1.0 200 OK\r\nCSeq: {}\r\nContent-Length: 96\r\n\r\nv=0\r\na=control:*\r\nm=video 0 RTP/AVP 33\r\na=control:a\r\nm=audio 0 RTP/AVP 8\r\na=control:rtsp://x/b\r\n..",
    "RTSP/1.0 200 OK\r\nCSeq: {}\r\nSession: 1;timeout=1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
    "RTSP/1.0 200 OK\r\nCSeq: {}\r\nSession: 2\r\nTransport: RTP/AVP/TCP;interleaved=255-0\r\n\r\n",
    "RTSP/1.0 200 OK\r\nCSeq: {}\r\nTransport: RTP/AVP;server_port=1-2\r\n\r\n",
    "RTSP/1.0 401 No\r\nCSeq: {}\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"{}\"\r\n\r\n",
    "RTSP/1.0 401 No\r\nCSeq: {}\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"{}\", stale=true, qop=\"auth\"\r\n\r\n",
    "RTSP/1.0 401 No\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: Basic realm=x\r\n\r\n",
    "RTSP/1.0 302 There\r\nCSeq: {}\r\nLocation: /{}\r\n\r\n",
    "RTSP/1.0 404 No\r\nCSeq: {}\r\n\r\n",
    "RTSP/1.0 501 No\r\n\r\n",
    "RTSP/1.0 100 Wait\r\nCSeq: {}\r\n\r\n",
    "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    "ANNOUNCE a RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 30\r\n\r\nv=0\r\nm=video 0 RTP/AVP 96\r\n....",
    "REDIRECT a RTSP/1.0\r\nCSeq: 3\r\n\r\n",
    "TEARDOWN a RTSP/1.0\r\n\r\n",
    "$\0\0\x0c\u{0}!\0\x01\0\0\0\0\0\0\0\0",
    "$\x09\0\x02ab",
    "\r\n\r\n",
    "RTSP/1.0 200 OK\r\nContent-Length: 99999",
];

/// Leads a conversation with a server that says what the bytes choose, or the bytes themselves.
pub fn exercise(bytes: &[u8]) {
    let now = clock::now();
    let url = Url::parse("rtsp://edge:8554/a?b").expect("a URL");
    let login = Login { user: "u".into(), password: "p".into() };
    let journey = Journey::new(&url, Some(login.clone()));
    let waits = (Duration::from_secs(5), SilenceLimit::default());
    let conversation = Conversation::new(&url, Answers::new(Some(login), "c".into()), waits, now);
    let mut lead = Lead { conversation, journey, now, cseq: 0, is_over: false, owed: 0 };
    lead.carry_out();
    let mut dice = bytes.iter().copied();
    while let Some(choice) = dice.next() {
        let mut next = || dice.next().unwrap_or(0);
        match choice % 8 {
            0..=3 => {
                let said = SAID[usize::from(next()) % SAID.len()].replace("{}", &lead.cseq.to_string());
                lead.hear(said.as_bytes());
            }
            4 => {
                let length = usize::from(next());
                let said: Vec<u8> = (0..length).map(|_| next()).collect();
                lead.hear(&said);
            }
            5 => lead.pass(Duration::from_millis(u64::from(next()) * 50)),
            6 => lead.hear(&[b"$\0\0\x0c\x80!"[..].to_vec(), vec![next(); 10]].concat()),
            _ if next() > 250 => lead.conversation.leave(lead.now),
            _ => lead.hear(&[next()]),
        }
        lead.carry_out();
    }
}

struct Lead {
    conversation: Conversation,
    journey: Journey,
    now: Instant,
    cseq: u32,
    is_over: bool,
    /// Requests of the server that are to be answered.
    owed: usize,
}

impl Lead {
    fn hear(&mut self, bytes: &[u8]) {
        self.owed += 1 + bytes.len() / 16; // a request is longer
        self.conversation.hear(bytes, self.now);
        self.carry_out();
        let most = FROM_SERVERS.message() + 1 + bytes.len();
        assert!(self.conversation.unread() <= most || self.is_over, "what waits has a bound");
    }

    /// Time passes, and all that is due is done: it does not become due again at once.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..20 {
            if self.conversation.due().is_none_or(|due| due > self.now) {
                return;
            }
            self.conversation.pass(self.now);
            self.carry_out();
        }
        panic!("it is always due");
    }

    fn carry_out(&mut self) {
        let mut described = 0;
        loop {
            while let Some(action) = self.conversation.poll(self.now) {
                assert!(!self.is_over, "after the end there is nothing");
                match action {
                    Action::Write(bytes) if bytes.starts_with(b"RTSP/") => {
                        self.owed = self.owed.checked_sub(1).expect("one answer a request");
                    }
                    Action::Write(bytes) => match framing::next(&bytes, &FROM_CLIENTS) {
                        Ok(Some((Incoming::Request(request), length))) => {
                            assert_eq!(length, bytes.len());
                            assert!(request.cseq == self.cseq + 1, "requests are numbered");
                            assert!(request.uri.starts_with("rtsp://edge:8554"), "{}", request.uri);
                            self.cseq = request.cseq;
                            let login = request.header("Authorization").unwrap_or_default();
                            let is_in_clear = login.starts_with("Basic");
                            assert!(
                                !is_in_clear || !self.conversation.wants_hash(),
                                "once a hash, always one"
                            );
                        }
                        other => panic!("{other:?}"),
                    },
                    Action::Frame { track, bytes, .. } => assert!(track < 32 && bytes.len() < 1 << 16),
                    Action::Described(presentation) => described = presentation.tracks.len(),
                    Action::Over(end) => {
                        self.is_over = true;
                        if let End::Redirected(location) = end {
                            let _ = self.journey.follow(&location, [192, 0, 2, 1].into());
                        }
                    }
                    Action::TrackRefused(track, _) | Action::Granted(track, _) => assert!(track < 32),
                    Action::Playing => {}
                }
            }
            if described == 0 {
                break;
            }
            let wishes = (0..described as u8).map(|track| Wish::Interleaved(2 * track, 2 * track + 1));
            self.conversation.set_up(wishes.collect(), self.now);
            described = 0;
        }
        let Strays { rubbish_bytes, .. } = self.conversation.take_strays();
        assert!(rubbish_bytes < 1 << 20);
        assert!(!self.is_over || self.conversation.due().is_none(), "after the end nothing is due");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seeds_replay() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/pull");
        let seeds = std::fs::read_dir(&folder).expect("a folder of seeds");
        let replayed =
            seeds.map(|seed| exercise(&std::fs::read(seed.expect("a seed").path()).expect("readable")));
        assert!(replayed.count() > 0);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_it_holds(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            exercise(&bytes);
        }
    }
}
