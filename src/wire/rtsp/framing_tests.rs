//! Connections whole, split, pipelined, hostile.

use super::*;
use crate::wire::fuzz::rtsp::{exercise, outcomes};
use crate::wire::rtsp::{Method, Target};
use proptest::prelude::*;

const OPTIONS: &str = "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: a player\r\n\r\n";
const SETUP: &str = "SETUP rtsp://edge:8554/news/trackID=1 RTSP/1.0\r\n\
    Transport: RTP/AVP;unicast;client_port=5000-5001\r\n\
    cseq : 3\r\n\
    Session: c0ffee;timeout=60\r\n\
    X-Folded: one\r\n\ttwo\r\n\r\n";
const GET_PARAMETER: &str =
    "GET_PARAMETER /news RTSP/1.0\nCSeq:4\nSession: c0ffee\nContent-Length: 6\n\nclock\n";

fn request(bytes: &[u8]) -> Request {
    match next(bytes, &FROM_CLIENTS) {
        Ok(Some((Incoming::Request(request), consumed))) if consumed == bytes.len() => request,
        other => panic!("{other:?} for {}", String::from_utf8_lossy(bytes)),
    }
}

fn refusal(bytes: &[u8]) -> (u16, Option<u32>, Option<usize>) {
    let invalid = next(bytes, &FROM_CLIENTS).expect_err("a refusal");
    assert!(!invalid.to_string().is_empty());
    (invalid.status.into(), invalid.cseq, invalid.consumed)
}

#[test]
fn a_request_is_read_whole() {
    let setup = request(SETUP.as_bytes());
    assert_eq!((setup.method.clone(), setup.cseq, setup.session()), (Method::Setup, 3, Some("c0ffee")));
    assert_eq!(setup.header("TRANSPORT"), Some("RTP/AVP;unicast;client_port=5000-5001"));
    assert_eq!(setup.header("x-folded"), Some("one two"));
    assert_eq!(setup.content_base(), "rtsp://edge:8554/news/");
    assert_eq!(
        setup.target,
        Target::Channel { name: "news".into(), track: Some(1), of_rtx: false, query: None }
    );
}

#[test]
fn bare_line_feeds_a_path_alone_and_a_body_are_taken() {
    let parameter = request(GET_PARAMETER.as_bytes());
    assert_eq!((parameter.method.clone(), parameter.cseq), (Method::GetParameter, 4));
    assert_eq!(parameter.body, b"clock\n");
}

#[test]
fn an_unknown_method_is_a_request() {
    let unknown = request(b"JUGGLE * RTSP/1.0\r\nCSeq: 9\r\n\r\n");
    assert_eq!(unknown.method, Method::Extension("JUGGLE".into()));
    assert_eq!(unknown.target, Target::Server);
}

#[test]
fn pipelined_messages_come_one_by_one() {
    let frame = [&interleaved_header(1, 3)[..], b"abc"].concat();
    let stream = [
        b"\r\n",
        SETUP.as_bytes(),
        &frame,
        b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n",
        b"\r\n\r\n",
        GET_PARAMETER.as_bytes(),
    ]
    .concat();
    let mut rest = &stream[..];
    let mut kinds = Vec::new();
    while let Some((incoming, consumed)) = next(rest, &FROM_CLIENTS).expect("valid") {
        rest = &rest[consumed..];
        kinds.push(match incoming {
            Incoming::Blank => continue,
            Incoming::Request(request) => format!("{:?}", request.method),
            Incoming::Interleaved { channel, payload } => {
                assert_eq!(&frame[payload], b"abc");
                format!("channel {channel}")
            }
            other => format!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["Setup", "channel 1", "Response", "GetParameter"]);
    assert!(rest.is_empty());
}

#[test]
fn messages_are_the_same_at_every_split_and_byte_by_byte() {
    let frame = [&interleaved_header(0, 300)[..], &[b'\n'; 300]].concat();
    let stream = [OPTIONS.as_bytes(), b"\r\n", &frame, GET_PARAMETER.as_bytes(), SETUP.as_bytes()].concat();
    let whole = outcomes(&stream, stream.len());
    assert_eq!(whole.len(), 4);
    for part in 1..stream.len() {
        assert_eq!(outcomes(&stream, part), whole, "in parts of {part} bytes");
    }
}

#[test]
fn a_whole_message_is_found_at_its_last_byte_and_not_before() {
    for message in [OPTIONS, SETUP, GET_PARAMETER] {
        for end in 0..message.len() {
            assert_eq!(next(&message.as_bytes()[..end], &FROM_CLIENTS), Ok(None), "{end} bytes of {message}");
        }
        request(message.as_bytes());
    }
}

#[test]
fn blank_lines_alone_are_consumed() {
    assert_eq!(next(b"", &FROM_CLIENTS), Ok(None));
    assert_eq!(next(b"\r\n\r\n\r", &FROM_CLIENTS), Ok(Some((Incoming::Blank, 5))));
}

#[test]
fn another_version_is_505_with_its_cseq_and_the_connection_goes_on() {
    for version in ["RTSP/2.0", "RTSP/9.9", "RTSP/1.1", "rtsp/3"] {
        let message = format!("OPTIONS * {version}\r\nCSeq: 77\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(refusal(message.as_bytes()), (505, Some(77), Some(message.len())), "{version}");
    }
}

#[test]
fn a_bad_request_with_intact_framing_can_be_skipped() {
    for head in [
        "OPTIONS\r\nCSeq: 5\r\n",
        "OPTIONS *\r\nCSeq: 5\r\n",
        "OPTIONS * HTTP/1.1\r\nCSeq: 5\r\n",
        "OP<>NS * RTSP/1.0\r\nCSeq: 5\r\n",
        "OPTIONS http://edge/ RTSP/1.0\r\nCSeq: 5\r\n",
        "OPTIONS rtsp://edge/%zz RTSP/1.0\r\nCSeq: 5\r\n",
        "OPTIONS * RTSP/1.0\r\nCSeq: 5\r\nno colon here\r\n",
        "OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n: no name\r\n",
        "OPTIONS * RTSP/1.0\r\n folded onto nothing\r\nCSeq: 5\r\n",
        "OPTIONS * RTSP/1.0\r\nCSeq: 5\r\nX: a\0b\r\n",
    ] {
        let message = format!("{head}\r\n");
        assert_eq!(refusal(message.as_bytes()), (400, Some(5), Some(message.len())), "{head}");
    }
}

#[test]
fn a_request_without_a_usable_cseq_is_refused_without_one() {
    for cseq in ["", "CSeq: \r\n", "CSeq: one\r\n", "CSeq: -1\r\n", "CSeq: 4294967296\r\n"] {
        let message = format!("OPTIONS * RTSP/1.0\r\n{cseq}\r\n");
        assert_eq!(refusal(message.as_bytes()), (400, None, Some(message.len())), "{cseq}");
    }
}

#[test]
fn noise_is_refused_at_once() {
    for noise in [&b"\x16\x03\x01\x02\x00"[..], b"\x00", b"GET \x07", b" OPTIONS", b"\xff\xff", b"OPT\x1b"] {
        let (status, _, consumed) = refusal(noise);
        assert_eq!((status, consumed), (400, None), "{noise:?}");
    }
}

#[test]
fn lengths_have_limits() {
    let with_length = |length: &str| {
        format!("GET_PARAMETER * RTSP/1.0\r\nCSeq: 6\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    };
    assert_eq!(next(&with_length("4096"), &FROM_CLIENTS), Ok(None));
    assert_eq!(refusal(&with_length("4097")), (413, Some(6), None));
    assert_eq!(refusal(&with_length("99999999999999999999999")), (413, Some(6), None));
    for length in ["-1", "six", "", "1, 1", "+1"] {
        assert_eq!(refusal(&with_length(length)), (400, Some(6), None), "{length}");
    }
    assert_eq!(refusal(&with_length("1\r\nContent-Length: 2")), (400, Some(6), None));
    assert_eq!(next(&with_length("1\r\ncontent-length: 1"), &FROM_CLIENTS), Ok(None));
}

#[test]
fn a_description_is_no_length_for_a_server_to_take_and_one_for_a_client() {
    let response = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 65536\r\n\r\n";
    assert_eq!(refusal(response).0, 413);
    assert_eq!(next(response, &FROM_SERVERS), Ok(None));
}

#[test]
fn a_uri_has_a_limit() {
    let options = |uri: &str| format!("OPTIONS {uri} RTSP/1.0\r\nCSeq: 8\r\n\r\n");
    let longest = format!("rtsp://edge/{}", "a".repeat(FROM_CLIENTS.uri - "rtsp://edge/".len()));
    assert_eq!(request(options(&longest).as_bytes()).uri, longest);
    let longer = options(&format!("{longest}a"));
    assert_eq!(refusal(longer.as_bytes()), (414, Some(8), Some(longer.len())), "the next request is read");
    let endless = [b"OPTIONS rtsp://edge/", &[b'a'; 2048][..]].concat();
    let longest_line = FROM_CLIENTS.uri + LINE_BYTES_BESIDES_URI;
    assert_eq!(next(&endless[..longest_line], &FROM_CLIENTS), Ok(None));
    assert_eq!(refusal(&endless), (414, None, None), "and is not waited for");
}

#[test]
fn headers_have_a_limit() {
    let headers = |count: usize| format!("OPTIONS * RTSP/1.0\r\nCSeq: 8\r\n{}\r\n", "X: y\r\n".repeat(count));
    request(headers(63).as_bytes());
    let more = headers(64);
    assert_eq!(refusal(more.as_bytes()), (400, Some(8), Some(more.len())));
}

#[test]
fn a_head_that_does_not_end_is_refused_at_its_limit() {
    let longest = FROM_CLIENTS.head;
    let headers = format!("OPTIONS * RTSP/1.0\r\nCSeq: 8\r\n{}", "X: y\r\n".repeat(longest / 6 + 1));
    assert_eq!(next(&headers.as_bytes()[..longest - 1], &FROM_CLIENTS), Ok(None));
    assert_eq!(refusal(headers.as_bytes()), (400, Some(8), None));

    let filler = "y".repeat(longest - "OPTIONS * RTSP/1.0\r\nCSeq: 8\r\nX: \r\n\r\n".len());
    let just_fits = format!("OPTIONS * RTSP/1.0\r\nCSeq: 8\r\nX: {filler}\r\n\r\n");
    assert_eq!(request(just_fits.as_bytes()).header("X"), Some(filler.as_str()));
}

#[test]
fn an_interleaved_frame_may_be_empty_or_as_long_as_its_length_allows() {
    let empty = Incoming::Interleaved { channel: 5, payload: 4..4 };
    assert_eq!(next(b"$\x05\x00\x00", &FROM_CLIENTS), Ok(Some((empty, 4))));
    let mut frame = interleaved_header(255, u16::MAX).to_vec();
    frame.resize(4 + 65535, 0);
    let whole = Incoming::Interleaved { channel: 255, payload: 4..65539 };
    assert_eq!(next(&frame, &FROM_SERVERS), Ok(Some((whole, 65539))));
    assert_eq!(next(&frame[..65538], &FROM_SERVERS), Ok(None));
    assert!(frame.len() <= FROM_SERVERS.message());
}

#[test]
fn a_frame_longer_than_a_report_is_known_by_its_header_and_not_kept() {
    let longest = [&interleaved_header(1, 4096)[..], &[0; 4096]].concat();
    let whole = Incoming::Interleaved { channel: 1, payload: 4..4100 };
    assert_eq!(next(&longest, &FROM_CLIENTS), Ok(Some((whole, 4100))));
    let longer = interleaved_header(1, 4097);
    assert_eq!(next(&longer, &FROM_CLIENTS), Ok(Some((Incoming::LongFrame, 4101))));
    let stream = [&longer[..], &[b'x'; 4097], OPTIONS.as_bytes()].concat();
    for part in [1, 7, 4101, stream.len()] {
        assert_eq!(outcomes(&stream, part).len(), 2, "in parts of {part} bytes");
    }
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&bytes);
    }

    /// Near-RTSP, which reaches further in than noise does.
    #[test]
    fn hostile_text_never_panics(
        size: u8,
        words in prop::collection::vec(
            prop::sample::select(vec![
                "OPTIONS", "SETUP", " ", "*", "rtsp://h/a", "/trackID=1", "%41", "?", "RTSP/1.0", "RTSP/2.0", "\r\n",
                "\n", "\r", "CSeq", ":", "1", "Content-Length", "5", "\t", "Session", "é", "$\x01\0\x02ab", "$\x01\x7f\x7f", "\0",
            ]),
            0..40,
        ),
    ) {
        exercise(&[&[size], words.concat().as_bytes()].concat());
    }

    #[test]
    fn streams_survive_every_split(
        messages in prop::collection::vec(prop::sample::select(vec![OPTIONS, SETUP, GET_PARAMETER, "\r\n", "$\0\0\x03abc"]), 0..8),
        part in 1..200usize,
    ) {
        let stream = messages.concat().into_bytes();
        prop_assert_eq!(outcomes(&stream, part), outcomes(&stream, stream.len().max(1)));
    }
}
