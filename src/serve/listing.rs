//! How a channel is listed for players, where its name does not say all.

/// How a channel is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its place on the remote control.
    pub number: Option<u32>,
    /// What it is called, in place of its name.
    pub title: Option<String>,
    /// The URL of its logo.
    pub logo: Option<String>,
    /// Of which it is one.
    pub group: Option<String>,
    /// What the programme guide calls it.
    pub tvg_id: Option<String>,
}
