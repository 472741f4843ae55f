//! The sources of imagenet-prep: what people have, as lists of images whose bytes can be read.
//!
//! A library of its own so that fuzzers and tests can call the readers as functions of bytes; the
//! program around it is in `main.rs`.

pub mod source;
