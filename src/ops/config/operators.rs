//! What is true of operators: who they are, where they are answered, and how much they are shown.

use std::net::SocketAddr;

use crate::serve::KeyFiles;

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// The address of the status page, `/metrics`, `/live`, `/ready` and `/api`.
    pub listen: SocketAddr,
    /// Who may see, and who may change something; anybody may see where there are none.
    pub tokens: Vec<(Role, String)>,
    /// What it is served with through TLS, if it is.
    pub tls: Option<KeyFiles>,
    /// How many channels may be shown at a time.
    pub previews: usize,
}

/// What an operator may do. Who may do more may do less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See what is.
    Read,
    /// Change it.
    Write,
}
