//! One connection's output over real sockets: slow readers, cut-offs, and nothing left behind.

use super::*;
use crate::event::TaskQueue;
use crate::relay::rig::{ROOMY, flow, packet};
use crate::relay::{Carriage, Framing};
use bytes::Bytes;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Weak;

/// A running event core and one connection with small buffers.
struct Rig {
    queue: Arc<TaskQueue>,
    poller: Arc<Poller>,
    output: Option<Arc<Output>>,
    client: TcpStream,
}

impl Rig {
    fn new() -> Self {
        let queue = TaskQueue::start("t-output", 2).expect("threads");
        let poller = Poller::new(8, 1, queue.clone(), queue.clone()).expect("a thread");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (socket, _) = listener.accept().expect("a client");
        socket.set_nonblocking(true).expect("a socket");
        for end in [&client, &socket] {
            let end = socket2::SockRef::from(end);
            end.set_send_buffer_size(4096).expect("a socket");
            end.set_recv_buffer_size(4096).expect("a socket");
        }
        let output = Some(Output::new(ByteStream::Plain(Arc::new(socket)), poller.clone(), Arc::default()));
        Self { queue, poller, output, client }
    }

    fn output(&self) -> &Arc<Output> {
        self.output.as_ref().expect("until it is let go")
    }

    fn pump(&self) {
        Sink(self.output().clone()).pump(None);
    }

    fn entries(&self) -> usize {
        self.poller.stats().iter().map(|table| table.entries).sum()
    }

    /// Lets the output go; returns what is left of it once the queue has run dry.
    fn let_go(mut self) -> Weak<Output> {
        let output = Arc::downgrade(&self.output.take().expect("once"));
        self.queue.stop();
        assert_eq!(self.entries(), 0, "nothing of the output is registered");
        self.poller.stop();
        output
    }
}

#[test]
fn a_slow_reader_gets_every_frame_whole() {
    const PACKETS: u16 = 200;
    let mut rig = Rig::new();
    let rtp = flow(ROOMY);
    rtp.push((0..PACKETS).map(|number| packet(number, 1000)));
    rig.output().post(Post::Open { framing: Framing::Channel(0), cursor: rtp.cursor(Carriage::Tcp, 0) });
    rig.pump();
    assert!(rig.output().full.load(Relaxed), "200 kB do not fit");
    for number in 0..PACKETS {
        let mut frame = [0; 1004];
        rig.client.read_exact(&mut frame).expect("a frame");
        assert_eq!(frame[..4], [b'$', 0, 3, 0xe8]);
        assert!(frame[4..].iter().all(|byte| *byte == number as u8), "packet {number}");
    }
    rig.output().cut_off();
    assert_eq!(rig.let_go().strong_count(), 0);
}

#[test]
fn a_client_that_reads_no_replies_is_cut_off() {
    let rig = Rig::new();
    let reply = || Post::Bytes(Bytes::from(vec![b'r'; 64 << 10]));
    let mut replies = 0;
    while !rig.output().is_dead() {
        rig.output().post(reply());
        rig.pump();
        replies += 1;
        assert!(replies < 64, "4 MiB of replies are not kept for anybody");
        assert!(rig.output().unread_bytes() < (64 << 10) + CUT_OFF_BYTES, "one more reply at most");
    }
    rig.output().post(reply());
    assert_eq!(rig.output().unread_bytes(), 0, "nothing is kept for the dead");
    let cut = rig.output().counters.read(0).connections_cut;
    assert!(cut.contains(&("unread replies", 1)), "{cut:?}");
    assert_eq!(rig.let_go().strong_count(), 0);
}

/// Posts without bytes of their own take memory too: a session may be played and paused from another connection.
#[test]
fn a_client_that_reads_nothing_is_cut_off_however_small_the_posts_are() {
    let rig = Rig::new();
    rig.output().post(Post::Bytes(Bytes::from(vec![b'r'; 8 << 20])));
    rig.pump();
    let (mut posts, rtp) = (0, flow(ROOMY));
    while !rig.output().is_dead() {
        rig.output().post(Post::Open { framing: Framing::Channel(0), cursor: rtp.cursor(Carriage::Tcp, 0) });
        posts += 1;
        assert!(posts < 1000);
    }
    rig.pump();
    assert_eq!(rig.let_go().strong_count(), 0);
}

#[test]
fn a_slow_reader_takes_no_descriptor_of_its_own() {
    let name = "serve::stream::output::tests::a_slow_reader_takes_no_descriptor_of_its_own";
    crate::event::testing::in_a_process_of_its_own(name, || {
        let rig = Rig::new();
        let before = crate::net::open_descriptors();
        rig.output().post(Post::Bytes(Bytes::from(vec![b'r'; 8 << 20])));
        rig.pump();
        assert!(rig.output().full.load(Relaxed), "8 MiB do not fit");
        let of_its_table = 2; // which opens now
        assert_eq!((rig.entries(), crate::net::open_descriptors()), (1, before + of_its_table));
        rig.output().cut_off();
        assert_eq!(rig.let_go().strong_count(), 0);
    });
}

#[test]
fn what_is_set_up_on_a_connection_has_a_bound() {
    let rig = Rig::new();
    let url = "rtsp://edge.example.net:8554/uk/sport-4/trackID=1".len();
    let some: Vec<_> = std::iter::from_fn(|| rig.output().room.for_setup(url)).collect();
    assert!((16..32).contains(&some.len()), "{}", some.len());
    drop(some);
    assert!(rig.output().room.for_setup(url).is_some());
    rig.output().cut_off();
    rig.let_go();
}

#[test]
fn a_hangup_ends_the_connection_after_the_last_reply() {
    let mut rig = Rig::new();
    rig.output().post(Post::Bytes(Bytes::from(vec![b'r'; 50_000])));
    rig.output().close_when_written();
    let mut all = Vec::new();
    rig.client.read_to_end(&mut all).expect("an end");
    assert_eq!(all, vec![b'r'; 50_000]);
    rig.output().cut_off();
    assert_eq!(rig.let_go().strong_count(), 0);
}

#[test]
fn a_client_that_takes_nothing_is_not_waited_for_at_the_end() {
    let rig = Rig::new();
    let rtp = flow(ROOMY);
    rtp.push((0..200).map(|number| packet(number, 1000)));
    rig.output().post(Post::Open { framing: Framing::Channel(0), cursor: rtp.cursor(Carriage::Tcp, 0) });
    rig.pump();
    assert!(rig.output().full.load(Relaxed), "200 kB do not fit");
    rig.output().close_soon();
    assert!(rig.output().is_dead());
    assert_eq!(rig.let_go().strong_count(), 0);
}

/// The connection is closed while another thread has found the socket full but is not yet registered for
/// room: whoever writes tidies up, so neither descriptor nor output stays behind.
#[test]
fn an_output_cut_off_while_another_writes_leaves_nothing_behind() {
    let rig = Rig::new();
    let output = rig.output().clone();
    assert!(output.state.claim(), "the other writes");
    output.cut_off();
    output.wait_until_writable();
    assert_eq!(rig.entries(), 1, "the other has registered just now");
    assert!(output.state.finish_claim(), "the other writes once more");
    loop {
        output.write_all_due(None);
        if !output.state.finish_claim() {
            break; // the queue may have asked for one more, as the Poller has found the socket closed
        }
    }
    drop(output);
    assert_eq!(rig.let_go().strong_count(), 0);
}
