//! What loops tell whoever watches them. Tools show it as a progress bar, lines or JSON; tests ignore it.

/// Receives the progress of a loop.
pub trait Report {
    /// A stage of `total` units begins, `done` of them already done.
    fn begin(&mut self, total: u64, done: u64, unit: &'static str);
    /// `count` more units are done; `note` is the state of things in a few words.
    fn advance(&mut self, count: u64, note: String);
    /// The stage is over.
    fn end(&mut self);
    /// A line for people.
    fn message(&mut self, text: &str);
    /// A line that is shown even where messages are not.
    fn warning(&mut self, text: &str);
}

/// Says nothing.
pub struct Silent;

impl Report for Silent {
    fn begin(&mut self, _: u64, _: u64, _: &'static str) {}
    fn advance(&mut self, _: u64, _: String) {}
    fn end(&mut self) {}
    fn message(&mut self, _: &str) {}
    fn warning(&mut self, _: &str) {}
}
