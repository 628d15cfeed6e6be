//! Fuzzes pulling: a server that says anything, at any time (`src/ingest/pull/exercise.rs`).

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| mirrorball::ingest::pull::exercise(data));
