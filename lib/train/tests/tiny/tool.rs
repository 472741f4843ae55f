//! Runs a built tool.

#![allow(dead_code, reason = "every test uses its part")]

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

/// A built tool.
pub struct Tool {
    name: &'static str,
    executable: &'static str,
}

impl Tool {
    pub const fn new(name: &'static str, executable: &'static str) -> Self {
        Self { name, executable }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// With arguments separated by spaces, and no settings from the caller's environment.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(self.executable);
        command.args(arguments.split_whitespace());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CREAM_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, arguments: &str) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn run(&self, arguments: &str, input: &str) -> Output {
        let mut child = self.start(arguments);
        // A tool that refuses its command line does not read its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// As the superuser without the superuser's privileges; nothing where setpriv is missing.
    pub fn run_unprivileged(&self, arguments: &str) -> Option<Output> {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", self.executable]);
        command.args(arguments.split_whitespace()).stdin(Stdio::null()).output().ok()
    }

    /// Standard output and standard error of a run that must succeed.
    pub fn succeeds(&self, arguments: &str, input: &str) -> (String, String) {
        let output = self.run(arguments, input);
        let [out, errors] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        assert_eq!(output.status.code(), Some(0), "{arguments}: {errors}");
        (out, errors)
    }

    /// What standard error says of a run that must refuse its input: one line.
    pub fn refuses(&self, arguments: &str, input: &str) -> String {
        let output = self.run(arguments, input);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments}");
        assert_eq!(errors.lines().count(), 1, "{arguments}: {errors}");
        assert!(errors.starts_with(&format!("{}: ", self.name)), "{errors}");
        errors
    }

    /// What standard error says of a run that must end with `status`.
    pub fn ends(&self, arguments: &str, status: i32) -> String {
        let output = self.run(arguments, "");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments}: {errors}");
        errors
    }

    /// What standard error says of a run that must fail with status 1.
    pub fn fails(&self, arguments: &str) -> String {
        let output = self.run(arguments, "");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments}");
        errors
    }

    /// Help and version, which every tool has.
    pub fn explains_itself(&self) {
        let (help, errors) = self.succeeds("--help", "");
        assert!(help.contains(&format!("Usage: {} ", self.name)), "{help}");
        assert!(help.contains("--data <SHARDS>") && help.contains("  path-export "), "{help}");
        assert_eq!(errors, "");
        let (version, _) = self.succeeds("--version", "");
        let expected = format!("{} {}", self.name, env!("CARGO_PKG_VERSION"));
        assert!(version.starts_with(&expected) && version.lines().count() == 1, "{version}");
        let nothing = self.run("", "");
        assert_eq!(nothing.status.code(), Some(2));
        assert!(String::from_utf8(nothing.stderr).unwrap().contains("--data"));
    }
}
