//! Gives libfuzzer's bytes to `inputs::inventory`.
#![no_main]

#[path = "../inputs.rs"]
#[expect(dead_code, reason = "each target tries one of them")]
mod inputs;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| inputs::inventory(bytes));
