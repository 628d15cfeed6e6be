//! Fuzzes what `exercise/container.rs` says must hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mirrorball::wire; // what the exercise knows the wire floor as

#[path = "../exercise/container.rs"]
mod exercise;

fuzz_target!(|data: &[u8]| exercise::exercise(data));
