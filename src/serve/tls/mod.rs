//! RTSPS: handshakes, and what a client is led to behind them.

mod handshake;
mod tls_listener;

pub use handshake::HANDSHAKE_BYTES;
pub use tls_listener::TlsListener;
