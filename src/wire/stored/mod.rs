//! What is stored in files, as far as it is read to be played: where it is at which time, and where a decoder can start.

mod coded;
mod restamping;
mod times;
mod ts_index;
mod wav;

pub use coded::coded;
pub use restamping::Restamping;
pub use times::span_us;
pub use ts_index::{Identity, NoIndex, RUN_LEN, TOGETHER, TsIndex, TsMarking, next_run};
pub use wav::{NoWav, Wav};
