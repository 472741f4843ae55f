//! What is written for people, for machines, and under `--quiet`.

use super::*;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn json(&self) -> Vec<Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn reporter(style: Style, interval: Duration) -> (Progress, Sink) {
    let sink = Sink::default();
    let progress = Progress::with_output(10, "steps", style, Box::new(sink.clone()));
    progress.with_state(|state| state.interval = interval);
    (progress, sink)
}

const JSON: Style = Style { quiet: false, log_format: LogFormat::Json };

#[test]
fn plain_lines_come_at_intervals_and_at_the_end() {
    let (progress, sink) = reporter(Style::default(), Duration::from_secs(3600));
    progress.advance(3);
    assert!(sink.lines().is_empty());
    progress.note("loss 1.5");
    progress.advance(4);
    progress.finish();
    let lines = sink.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("7/10 steps, "), "{lines:?}");
    assert!(lines[0].contains(" left, loss 1.5"), "{lines:?}");

    let (progress, sink) = reporter(Style::default(), Duration::ZERO);
    progress.advance(1);
    progress.advance(1);
    assert_eq!(sink.lines().len(), 2);
}

#[test]
fn work_of_an_earlier_run_does_not_count_as_speed() {
    let (progress, sink) = reporter(JSON, Duration::ZERO);
    let progress = progress.starting_at(8);
    progress.advance(0);
    let line = &sink.json()[0];
    assert_eq!((&line["done"], &line["per_second"]), (&json!(8), &json!(0.0)));
    assert_eq!(line["seconds_left"], Value::Null);
}

#[test]
fn json_lines_carry_event_message_and_fields() {
    let (progress, sink) = reporter(JSON, Duration::ZERO);
    progress.message("hello \"you\"\nthere");
    progress.event("epoch", json!({ "epoch": 3, "loss": 0.5 }), "epoch 3: loss 0.5");
    progress.advance(2);
    let lines = sink.json();
    assert_eq!(lines[0], json!({ "event": "message", "message": "hello \"you\"\nthere" }));
    let epoch =
        json!({ "event": "epoch", "epoch": 3, "loss": 0.5, "message": "epoch 3: loss 0.5" });
    assert_eq!(lines[1], epoch);
    assert_eq!((&lines[2]["event"], &lines[2]["unit"]), (&json!("progress"), &json!("steps")));
}

#[test]
fn quiet_keeps_warnings_only() {
    let style = Style { quiet: true, ..Style::default() };
    let (progress, sink) = reporter(style, Duration::ZERO);
    progress.message("hello");
    progress.advance(5);
    progress.warning("the limit does not bind");
    progress.finish();
    assert_eq!(sink.lines(), ["warning: the limit does not bind"]);
}

#[test]
fn the_bar_template_is_valid() {
    assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
}

#[test]
fn log_formats_are_read_by_name() {
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    assert!("yaml".parse::<LogFormat>().unwrap_err().contains("text or json"));
}
