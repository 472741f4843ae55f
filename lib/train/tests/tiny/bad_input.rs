//! Tables of bad input: what is wrong, the arguments, and parts of the one line that must say so.

#![allow(dead_code, reason = "every test uses its part")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::tool::Tool;

/// A folder of files for one tool's bad input. `@` in arguments and expected parts stands for the folder.
pub struct Table<'a> {
    tool: &'a Tool,
    folder: &'a Path,
}

impl<'a> Table<'a> {
    pub fn new(tool: &'a Tool, folder: &'a Path) -> Self {
        Self { tool, folder }
    }

    /// A run that must refuse its input: status 2, one line with all of `parts`, nothing on standard output.
    pub fn refuses(&self, what: &str, arguments: &str, parts: &[&str]) {
        let error = self.tool.refuses(&self.named(arguments), "");
        self.check(what, 2, &error, parts);
    }

    /// A run that must break on its way: the same with status 1.
    pub fn breaks(&self, what: &str, arguments: &str, parts: &[&str]) {
        let error = self.tool.fails(&self.named(arguments));
        assert_eq!(error.lines().count(), 1, "{what}: {error}");
        self.check(what, 1, &error, parts);
    }

    /// As [`refuses`](Self::refuses), for what the system forbids to everybody but the superuser, whose privileges are
    /// dropped; without setpriv to drop them there is nothing to see.
    pub fn is_denied(&self, what: &str, arguments: &str, parts: &[&str]) {
        let probe = self.folder.join("probe");
        std::fs::write(&probe, "").unwrap();
        std::fs::set_permissions(&probe, PermissionsExt::from_mode(0o000)).unwrap();
        let privileged = std::fs::read(&probe).is_ok();
        std::fs::remove_file(&probe).unwrap();
        if !privileged {
            return self.refuses(what, arguments, parts);
        }
        match self.tool.run_unprivileged(&self.named(arguments)) {
            Some(output) => {
                let error = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.code(), Some(2), "{what}: {error}");
                assert_eq!(error.lines().count(), 1, "{what}: {error}");
                self.check(what, 2, &error, parts);
            }
            None => println!("skipped, for want of setpriv: {what}"),
        }
    }

    fn named(&self, arguments: &str) -> String {
        arguments.replace('@', self.folder.to_str().unwrap())
    }

    /// Also prints the message as a row, so that `cargo test --test bad_input -- --nocapture` lists what people see.
    fn check(&self, what: &str, status: i32, error: &str, parts: &[&str]) {
        assert!(error.starts_with(&format!("{}: ", self.tool.name())), "{what}: {error}");
        for part in parts {
            assert!(error.contains(&self.named(part)), "{what}: no `{part}` in: {error}");
        }
        let shown = error.trim_end().replace(self.folder.to_str().unwrap(), "").replace('|', "\\|");
        println!("| {what} | {} | {status} | `{shown}` |", self.tool.name());
    }
}
