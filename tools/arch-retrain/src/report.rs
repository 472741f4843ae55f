//! The training's progress on standard error.

use cream_cli::progress::{Progress, Style};
use cream_train::report::Report;

/// Shows a loop's stages as progress bars or lines.
pub struct ProgressReport {
    style: Style,
    stage: Progress,
}

impl ProgressReport {
    /// Nothing under way yet.
    pub fn new(style: Style) -> Self {
        // A stage of nothing: a bar that is never drawn, through which lines go until one begins.
        Self { style, stage: Progress::new(0, "", Style { quiet: true, ..style }) }
    }

    /// A line for people, outside a stage.
    pub fn line(&self, text: &str) {
        Progress::new(0, "", self.style).message(text);
    }
}

impl Report for ProgressReport {
    fn begin(&mut self, total: u64, done: u64, unit: &'static str) {
        self.stage = Progress::new(total, unit, self.style).starting_at(done);
    }

    fn advance(&mut self, count: u64, note: String) {
        self.stage.note(note);
        self.stage.advance(count);
    }

    fn end(&mut self) {
        self.stage.finish();
    }

    fn message(&mut self, text: &str) {
        self.line(text);
    }

    fn warning(&mut self, text: &str) {
        Progress::new(0, "", self.style).warning(text);
    }
}
