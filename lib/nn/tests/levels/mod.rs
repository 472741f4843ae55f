//! Running a test file again at every level of vector instructions that the machine has.

use cream_nn::ops::simd::{VARIABLE, levels};
use std::process::Command;

/// Runs all tests of this file but the one named, at each level.
pub fn run_all_but(test: &str) {
    for level in levels() {
        let out = Command::new(std::env::current_exe().unwrap())
            .args(["--skip", test])
            .env(VARIABLE, level)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "at {level}:\n{said}");
        assert!(!said.contains(" 0 passed"), "at {level} nothing ran:\n{said}");
    }
}
