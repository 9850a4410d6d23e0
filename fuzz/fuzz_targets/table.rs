#![no_main]

#[path = "../../crates/lookahead-trainer/tests/it/hostile/mod.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::table(bytes));
