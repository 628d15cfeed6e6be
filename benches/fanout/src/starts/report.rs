//! The shape of a start's report: one JSON object a line.

use serde::{Deserialize, Serialize};

use super::capture::Carrier;

/// What one start showed. Times are from the last byte of its request on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The relay's name.
    pub relay: String,
    pub carrier: Carrier,
    /// Until the first byte of the stream was there.
    pub first_ms: Option<f64>,
    /// Until everything was there that the decoder needs for its first picture; none came while the viewer stayed.
    pub picture_ms: Option<f64>,
    /// Bytes of the stream until then.
    pub picture_bytes: usize,
    /// The most that came in any 200 ms after that, in times of what the stream has in 200 ms.
    pub peak: Option<f64>,
    /// What the decoder complained of in all that came, a line each, and the first of it.
    pub complaints: usize,
    pub complaint: Option<String>,
    pub lost: u64,
    pub reordered: u64,
}
