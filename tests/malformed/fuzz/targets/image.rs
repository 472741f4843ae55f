//! Encoded images.
#![no_main]
libfuzzer_sys::fuzz_target!(
    // The reader holds back panics of decoders; any other panic still ends the run.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| cream_malformed::image(bytes)
);
