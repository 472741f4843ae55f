//! Archives of images, and development kits.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cream_malformed::archive(bytes));
