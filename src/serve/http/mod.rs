//! RTSP over HTTP: who speaks HTTP, and the tunnels that this leads to.

mod http_connection;
mod http_listener;
mod post_half;
mod tunnels;

pub use http_listener::HttpListener;
