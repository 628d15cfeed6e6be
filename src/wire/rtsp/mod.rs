//! RTSP/1.0 (RFC 2326) as a server needs it: bytes to requests, and replies to bytes. And what a client needs: the
//! other way round.
//!
//! ```text
//!  bytes ─▶ framing::next ─▶ Request ─┬─▶ transport::parse  (SETUP)
//!                │                    ├─▶ range::asked, tempo  (PLAY)
//!                │                    └─▶ authorization::parse ─▶ digest
//!                └─▶ Interleaved: RTCP of a viewer in the connection
//!  Reply ─▶ bytes
//!
//!  Ask ─▶ bytes … bytes ─▶ framing::next ─▶ Response ─┬─▶ Granted (SETUP)
//!                                                     ├─▶ Base ─▶ what to ask about next (DESCRIBE)
//!                                                     └─▶ Challenge ─▶ Answers (401)
//! ```
//!
//! Methods, status codes and the serialiser are `rtsp-types`'. Its reader is not used, for what real clients send
//! is wider than it takes: it knows no request path without scheme and host (set-top boxes), no line end but CRLF,
//! and no header outside UTF-8; and it cannot say where a broken message ends or which CSeq to answer.

mod ask;
pub mod authorization;
mod challenge;
mod control;
pub mod digest;
pub mod framing;
mod granted;
mod headers;
mod login;
mod percent;
pub mod range;
mod redirect;
mod reply;
mod request;
mod response;
mod schemes;
pub mod tempo;
pub mod transport;
mod via;

pub use ask::{Ask, Wish, without_login};
pub use challenge::{Challenge, DigestChallenge};
pub use control::Base;
pub use framing::{Incoming, Invalid, interleaved_header};
pub use granted::{Granted, GrantedDelivery};
pub use login::{Answers, Had, Login, NoUse};
pub use percent::{percent_decoded, percent_encoded};
pub use redirect::{Redirect, usual_port};
pub use reply::{METHODS, Reply, RtpInfo};
pub use request::{Request, Target};
pub use response::{NotAResponse, Response};
pub use rtsp_types::{Method, StatusCode, Url};
pub use via::{LOOP_DETECTED, LOOP_PHRASE, MOST_INSTANCES, instances, via};
