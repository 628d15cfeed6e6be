//! Bytes to values and back, sans-IO: no descriptor, clock, thread or lock in here.
//!
//! ```text
//!  upstream                                          viewers
//!  datagram ─▶ rtp::check ─▶ reception               bytes ─▶ rtsp::framing ─▶ Request ─▶ transport, range
//!  datagram ─▶ rtcp::reflectable                     bytes ◀─ rtsp::reply
//!  datagram ─▶ transport_stream::check ─▶ packetizer bytes ─▶ http: RTSP, or a tunnel's head and what comes up it
//!  legs     ─▶ merge ─▶ in order; or failover ─▶ splice: one stream
//!  SDP file ─▶ sdp::parse ─▶ Presentation ─▶ sdp::unicast (what DESCRIBE returns)
//!  config   ─▶ source_url ─▶ sdp::mpegts             datagram ─▶ rtcp::feedback, rtcp::nacks; packet ─▶ rtx
//!  datagram ─▶ sap ─▶ sdp::identity, sdp::parse      sdp::announced ─▶ sap ─▶ datagram
//!
//!  datagram ─▶ transport_stream::packets ─▶ ts_packet ─▶ psi: what a transport stream carries
//!  payload  ─▶ random_access: where a decoder can start
//!  packets  ─▶ fmp4: what a browser plays
//!  packets  ─▶ recording: what is kept of them on disk
//!  file     ─▶ stored: what is played of it, and when; unit ─▶ payload ─▶ what RTP carries of it
//!  file     ─▶ container: the tracks and samples of an MP4 file
//!
//!  as a client (pull, the probe): rtsp::ask ─▶ bytes ─▶ rtsp::framing ─▶ Response, sdp::offered; datagram ─▶ mark
//! ```

pub mod container;
pub mod failover;
mod first_copies;
pub mod fmp4;
pub mod fnv1a;
#[cfg(test)]
mod fuzz;
pub mod http;
mod in_order;
mod jitter;
pub mod mark;
pub mod merge;
mod pace;
pub mod packetizer;
pub mod payload;
pub mod psi;
pub mod random_access;
pub mod reception;
pub mod recording;
pub mod renumbering;
pub mod rtcp;
pub mod rtp;
pub mod rtsp;
pub mod rtx;
mod run;
pub mod sap;
pub mod sdp;
mod skew;
pub mod source_filter;
pub mod source_url;
pub mod splice;
pub mod still;
pub mod stored;
pub mod strangers;
pub mod transport_stream;
pub mod ts_packet;
