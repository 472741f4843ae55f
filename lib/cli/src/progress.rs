//! Progress of long work, on standard error only.
//!
//! A terminal gets a bar with rate and time left; a file or pipe gets a plain line every ten seconds;
//! `--log-format json` gets one JSON object per line; `--quiet` gets warnings alone.

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Value, json};

const INTERVAL: Duration = Duration::from_secs(10);
const TEMPLATE: &str = "[{bar:24}] {pos}/{len} {prefix}, {per_sec}, {eta} left  {wide_msg}";

/// The form of what is reported: the value of `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line, each with a string `event`.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(format!("`{other}` is not a log format: text or json")),
        }
    }
}

/// What the flags `--quiet` and `--log-format` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Report warnings only.
    pub quiet: bool,
    /// The form of the report.
    pub log_format: LogFormat,
}

/// Reports how far a piece of work has come. Shared freely between threads.
pub struct Progress {
    total: u64,
    unit: &'static str,
    style: Style,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    done: u64,
    note: String,
    /// Where this run began, so that work done before a resume does not count as speed.
    first: u64,
    started: Instant,
    reported: Instant,
    interval: Duration,
}

impl Progress {
    /// Starts reporting on `total` pieces of work, counted in `unit` ("images", "steps").
    pub fn new(total: u64, unit: &'static str, style: Style) -> Self {
        let mut progress = Self::with_output(total, unit, style, Box::new(io::stderr()));
        let terminal = io::stderr().is_terminal();
        if terminal && !style.quiet && style.log_format == LogFormat::Text {
            progress.bar = Some(bar(total, unit));
        }
        progress
    }

    fn with_output(
        total: u64,
        unit: &'static str,
        style: Style,
        out: Box<dyn Write + Send>,
    ) -> Self {
        let now = Instant::now();
        let note = String::new();
        let interval = INTERVAL;
        let state = State { out, done: 0, note, first: 0, started: now, reported: now, interval };
        Self { total, unit, style, bar: None, state: Mutex::new(state) }
    }

    /// Begins at `done` pieces, those of an earlier run: rate and time left count from here.
    pub fn starting_at(self, done: u64) -> Self {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.reset_eta();
        }
        self.with_state(|state| (state.done, state.first) = (done, done));
        self
    }

    /// Adds `count` finished pieces.
    pub fn advance(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(count);
            return;
        }
        self.with_state(|state| {
            state.done = state.done.saturating_add(count);
            if state.reported.elapsed() >= state.interval {
                self.report(state);
            }
        });
    }

    /// Sets the short text shown with the bar and the plain lines, such as the current loss.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => self.with_state(|state| state.note = text),
        }
    }

    /// A line for people; silent under `--quiet`.
    pub fn message(&self, text: impl AsRef<str>) {
        self.event("message", Value::Null, text);
    }

    /// A line that `--quiet` does not silence.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.line("warning", Value::Null, &format!("warning: {}", text.as_ref()));
    }

    /// A line for people, `text`, which the JSON form accompanies with the fields of `fields`, an
    /// object such as an epoch's metrics. Silent under `--quiet`.
    pub fn event(&self, name: &str, fields: impl Serialize, text: impl AsRef<str>) {
        if !self.style.quiet {
            // A value that JSON cannot express costs the fields, not the run.
            self.line(name, serde_json::to_value(fields).unwrap_or_default(), text.as_ref());
        }
    }

    /// Ends the report: clears the bar, or prints the last plain line.
    pub fn finish(&self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => self.with_state(|state| self.report(state)),
        }
    }

    fn line(&self, name: &str, fields: Value, text: &str) {
        let line = match self.style.log_format {
            LogFormat::Text => text.to_owned(),
            LogFormat::Json => json_line(name, fields, text),
        };
        match &self.bar {
            Some(bar) => bar.suspend(|| self.with_state(|state| write_line(state, &line))),
            None => self.with_state(|state| write_line(state, &line)),
        }
    }

    fn report(&self, state: &mut State) {
        if self.style.quiet {
            return;
        }
        let rate = rate(state);
        let left = (rate > 0.0).then(|| self.total.saturating_sub(state.done) as f64 / rate);
        let line = match self.style.log_format {
            LogFormat::Text => self.plain_line(state, rate, left),
            LogFormat::Json => json_line(
                "progress",
                json!({ "done": state.done, "total": self.total, "unit": self.unit,
                        "per_second": rate, "seconds_left": left }),
                &state.note,
            ),
        };
        write_line(state, &line);
        state.reported = Instant::now();
    }

    fn plain_line(&self, state: &State, rate: f64, left: Option<f64>) -> String {
        let mut line = format!("{}/{} {}, {rate:.1}/s", state.done, self.total, self.unit);
        // A rate near zero makes a time that no duration holds.
        if let Some(left) = left.and_then(|left| Duration::try_from_secs_f64(left).ok()) {
            line += &format!(", {:#} left", HumanDuration(left));
        }
        if !state.note.is_empty() {
            line += &format!(", {}", state.note);
        }
        line
    }

    fn with_state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        // A panic elsewhere leaves counts that are still good enough to report.
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn bar(total: u64, unit: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(5))
        .with_style(style)
        .with_prefix(unit)
}

fn rate(state: &State) -> f64 {
    let seconds = state.started.elapsed().as_secs_f64();
    if seconds > 0.0 { state.done.saturating_sub(state.first) as f64 / seconds } else { 0.0 }
}

fn json_line(name: &str, fields: Value, text: &str) -> String {
    let mut line = match fields {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    line.insert("event".to_owned(), Value::from(name));
    if !text.is_empty() {
        line.insert("message".to_owned(), Value::from(text));
    }
    Value::Object(line).to_string()
}

fn write_line(state: &mut State, line: &str) {
    // With standard error gone there is nobody to tell.
    let _ = writeln!(state.out, "{line}");
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
