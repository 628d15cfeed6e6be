//! One connection as a stream of bytes: what leaves by it, whole and in order, and what may wait for that.

mod bounds;
mod byte_stream;
mod framing;
mod output;
mod tls_stream;
mod writer;

#[cfg(test)]
pub use bounds::TRACK_BYTES;
pub use bounds::{CUT_OFF_BYTES, READ_BYTES, Room, SETUP_BYTES, SetupBytes};
pub use byte_stream::ByteStream;
pub use output::{Output, Sink};
pub use tls_stream::{RECORD_BYTES, TlsStream};
pub use writer::Post;
