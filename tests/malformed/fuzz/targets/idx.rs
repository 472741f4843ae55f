//! IDX files.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cream_malformed::idx(bytes));
