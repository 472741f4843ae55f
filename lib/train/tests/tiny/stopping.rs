//! What a trainer does when it is asked to stop, and when another is at work: the same for both of them.

use crate::tool::Tool;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A trainer with the arguments of a run into a folder that is added to them.
pub struct Trainer<'a> {
    pub tool: &'a Tool,
    /// Ends with `--out DIR/`.
    pub arguments: &'a str,
    pub dir: &'a Path,
    pub results: &'a [&'a str],
}

impl Trainer<'_> {
    fn run(&self, out: &str, more: &str) -> String {
        format!("{}{out} {more}", self.arguments)
    }

    fn same_results(&self, a: &str, b: &str) {
        for name in self.results {
            let bytes = |out: &str| fs::read(self.dir.join(out).join(name)).unwrap();
            assert!(bytes(a) == bytes(b), "{name} of {a} and {b}");
        }
    }

    fn not_done(&self, out: &str) {
        assert!(!self.dir.join(out).join(self.results[0]).exists(), "{out} is not done");
    }

    /// After steps, after time, and with an amount that is none.
    pub fn stops_after_so_much(&self) {
        self.tool.succeeds(&self.run("whole", ""), "");
        let said = self.tool.ends(&self.run("parts", "--quiet --stop-after 3"), 75);
        assert!(said.contains("stopped at step 3 after 3 steps as asked"), "{said}");
        assert!(said.contains("run the same command again to go on from"), "{said}");
        self.not_done("parts");
        let said = self.tool.ends(&self.run("parts", "--quiet --stop-after 0.000001s"), 75);
        assert!(said.contains("stopped at step 4 after 0.000001 s as asked"), "{said}");
        self.tool.succeeds(&self.run("parts", "--stop-after 1000000"), "");
        self.same_results("whole", "parts");
        let said = self.tool.refuses(&self.run("parts", "--stop-after 3d"), "");
        assert!(said.contains("--stop-after: `3d` is neither steps (500) nor a time"), "{said}");
    }

    /// Of runs that are longer than the test.
    pub fn stops_at_a_signal_and_keeps_others_out(&self) {
        for (name, status) in [("TERM", 143), ("INT", 130)] {
            // A shell's background job ignores SIGINT, and so does what it starts: also these tests.
            if name == "INT" && interrupts_are_ignored() {
                continue;
            }
            let out = format!("run-{name}");
            let run = self.run(&out, "");
            let mut child = self.tool.start(&run);
            let deadline = Instant::now() + Duration::from_secs(60);
            while !self.dir.join(&out).join("metrics.csv").exists() {
                assert!(Instant::now() < deadline, "not begun after a minute");
                std::thread::sleep(Duration::from_millis(2));
            }
            let said = self.tool.refuses(&run, "");
            let holder = format!("{out}: in use by another process ({})", child.id());
            assert!(said.contains(&holder) && said.contains("give another --out"), "{said}");
            assert!(child.try_wait().unwrap().is_none());
            let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
            assert!(sent.unwrap().success());
            assert_eq!(child.wait().unwrap().code(), Some(status));
            let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
            let last = said.lines().last().unwrap();
            let place = format!("by signal {}; run the same command again", status - 128);
            assert!(last.contains("stopped at step ") && last.contains(&place), "{said}");
            let checkpoint = last.rsplit(' ').next().unwrap();
            assert!(Path::new(checkpoint).exists(), "{checkpoint}");
            // It goes on from there.
            let said = self.tool.ends(&format!("{run} --stop-after 1"), 75);
            assert!(said.contains("stopped at step "), "{said}");
        }
    }

    pub fn refuses_a_damaged_shard(&self, shard: &Path) {
        let bytes = fs::read(shard).unwrap();
        let mut damaged = bytes.clone();
        // In the middle of the tar, where no header is.
        let at = damaged.len() / 2;
        damaged[at] ^= 1;
        fs::write(shard, &damaged).unwrap();
        let said = self.tool.refuses(&self.run("damaged", "--quiet"), "");
        let name = shard.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name) && said.contains("its SHA-256 is"), "{said}");
        assert!(said.contains("copy the folder again or make it anew"), "{said}");
        fs::write(shard, &bytes[..bytes.len() - 512]).unwrap();
        let said = self.tool.refuses(&self.run("damaged", "--quiet"), "");
        assert!(said.contains("its size in bytes is"), "{said}");
        fs::write(shard, &bytes).unwrap();
        self.not_done("damaged");
    }
}

fn interrupts_are_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 2 != 0)
}
