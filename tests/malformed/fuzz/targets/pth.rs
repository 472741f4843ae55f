//! PyTorch's checkpoints.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cream_malformed::pth(bytes));
