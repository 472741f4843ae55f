//! What `stats` prints: a table for people, or one JSON object in the form of
//! `schema/stats.schema.json`.

use cream_data::ShardSet;
use serde_json::{Value, json};

use super::SplitStats;
use super::counts::Spread;
use super::pixels::Measured;

/// A name and its value in each split.
type Row = (&'static str, Vec<String>);

/// The table, a column for each split.
pub fn table(set: &ShardSet, seed: u64, all: &[SplitStats]) -> String {
    let mut rows = vec![("", all.iter().map(|stats| stats.split.to_string()).collect())];
    rows.extend(count_rows(set, all));
    rows.extend(measured_rows(all));
    let name_width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..all.len())
        .map(|column| rows.iter().map(|(_, row)| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = format!("{}: {} classes\n\n", set.dir().display(), set.num_classes());
    for (name, cells) in &rows {
        let mut line = format!("{name:name_width$}");
        for (cell, width) in cells.iter().zip(&widths) {
            line += &format!("  {cell:>width$}");
        }
        text += &format!("{}\n", line.trim_end());
    }
    let some = all.iter().any(|stats| stats.measured.images() < stats.counts.images);
    if some {
        text += &format!(
            "\nFrom \"images decoded\" on: of images drawn with seed {seed}; --sample 0 takes all.\n"
        );
    }
    text
}

fn count_rows(set: &ShardSet, all: &[SplitStats]) -> Vec<Row> {
    let each = |cell: &dyn Fn(&SplitStats) -> String| all.iter().map(cell).collect();
    let class = |count: u64, class: usize| {
        let name = set.classes().get(class).map_or("", String::as_str);
        format!("{} ({})", grouped(count), name.replace(|c: char| c.is_control(), " "))
    };
    vec![
        ("images", each(&|s| grouped(s.counts.images as u64))),
        ("of them to rank paths with", each(&|s| grouped(s.counts.search_validation as u64))),
        ("smallest class", each(&|s| class(s.counts.per_class.min, s.counts.smallest))),
        ("median class", each(&|s| number(s.counts.per_class.median))),
        ("largest class", each(&|s| class(s.counts.per_class.max, s.counts.largest))),
        ("MB of images", each(&|s| format!("{:.1}", s.counts.bytes as f64 / 1e6))),
        ("bytes of an image, mean", each(&|s| or_dash(mean_bytes(s), |mean| number(mean.round())))),
        ("min / median / max", each(&|s| or_dash(s.counts.per_image, three_of))),
    ]
}

fn measured_rows(all: &[SplitStats]) -> Vec<Row> {
    let each = |cell: &dyn Fn(&Measured) -> String| all.iter().map(|s| cell(&s.measured)).collect();
    let share = |part: usize, of: &Measured| {
        let share = (of.images() > 0).then(|| part as f64 / of.images() as f64 * 100.0);
        or_dash(share, |share| format!("{share:.1} %"))
    };
    let three = |values: [f64; 3]| values.map(|value| format!("{value:.4}")).join(" ");
    vec![
        ("images decoded", each(&|m| grouped(m.images() as u64))),
        ("width, min / median / max", each(&|m| or_dash(m.sides(), |(width, _)| three_of(width)))),
        (
            "height, min / median / max",
            each(&|m| or_dash(m.sides(), |(_, height)| three_of(height))),
        ),
        ("JPEG", each(&|m| share(m.jpeg, m))),
        ("without colour", each(&|m| share(m.grey, m))),
        ("mean of red, green, blue", each(&|m| or_dash(m.moments(), |(mean, _)| three(mean)))),
        ("standard deviation", each(&|m| or_dash(m.moments(), |(_, std)| three(std)))),
    ]
}

fn three_of(spread: Spread) -> String {
    format!("{} / {} / {}", grouped(spread.min), number(spread.median), grouped(spread.max))
}

fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

fn mean_bytes(stats: &SplitStats) -> Option<f64> {
    (stats.counts.images > 0).then(|| stats.counts.bytes as f64 / stats.counts.images as f64)
}

/// With a comma before every three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A median: a whole number, or one and a half.
fn number(value: f64) -> String {
    let whole = grouped(value as u64);
    if value.fract() == 0.0 { whole } else { format!("{whole}.5") }
}

/// The object, on one line.
pub fn json(set: &ShardSet, seed: u64, all: &[SplitStats]) -> String {
    let splits: Vec<Value> = all.iter().map(|stats| split(set, stats)).collect();
    let object = json!({
        "out": set.dir().display().to_string(),
        "index_sha256": set.checksum(),
        "classes": set.num_classes(),
        "seed": seed,
        "splits": splits,
    });
    format!("{object}\n")
}

fn split(set: &ShardSet, stats: &SplitStats) -> Value {
    let (counts, measured) = (&stats.counts, &stats.measured);
    let sides = measured.sides();
    let moments = measured.moments();
    json!({
        "split": stats.split.name(),
        "images": counts.images,
        "search_validation": counts.search_validation,
        "images_per_class": spread(counts.per_class),
        "smallest_class": set.classes().get(counts.smallest),
        "largest_class": set.classes().get(counts.largest),
        "bytes": counts.bytes,
        "bytes_per_image": counts.per_image.map(spread),
        "decoded": measured.images(),
        "width": sides.map(|(width, _)| spread(width)),
        "height": sides.map(|(_, height)| spread(height)),
        "jpeg": measured.jpeg,
        "grey": measured.grey,
        "pixels": measured.pixels() as u64,
        "mean": moments.map(|(mean, _)| mean),
        "std": moments.map(|(_, std)| std),
    })
}

fn spread(spread: Spread) -> Value {
    json!({ "min": spread.min, "median": spread.median, "max": spread.max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        let texts = [0, 999, 1000, 1_281_167].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,281,167"]);
        assert_eq!((number(12.5), number(1300.0)), ("12.5".into(), "1,300".into()));
    }
}
