//! Fuzzes conversations: requests in any order, with what happens beside them (`src/serve/rtsp/exercise.rs`).

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| mirrorball::serve::conversation(data));
