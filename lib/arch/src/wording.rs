//! What serde says of a key or value, in words for whoever wrote the file.

/// Serde's message with the types of the file rather than of the program, and for an unknown field with the known
/// one that is nearest.
pub(crate) fn plain(message: &str) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("expected usize", "expected a whole number of at least 0"),
        ("expected u64", "expected a whole number of at least 0"),
        ("expected u32", "expected a whole number of at least 0"),
        ("expected f64", "expected a number"),
    ];
    let said = WORDS.iter().fold(message.to_owned(), |text, (rust, word)| text.replace(rust, word));
    said + &did_you_mean(message)
}

/// Serde lists the known fields between backticks.
fn did_you_mean(message: &str) -> String {
    let Some(names) = message.strip_prefix("unknown field ") else { return String::new() };
    let mut names = names.split('`').skip(1).step_by(2);
    let Some(found) = names.next() else { return String::new() };
    let scored = names.map(|known| (strsim::jaro_winkler(found, known), known));
    match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, known)) if score > 0.75 => format!("; did you mean `{known}`?"),
        _ => "; remove it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn the_nearest_key_is_named_and_types_are_those_of_files() {
        for (message, end) in [
            (
                "unknown field `kernle`, expected one of `kernel`, `stride` at line 1",
                "; did you mean `kernel`?",
            ),
            ("unknown field `zzz`, expected `kernel`", "; remove it"),
            ("unknown field ", ""),
            ("unknown variant `a`, expected `b`", ""),
        ] {
            assert_eq!(plain(message), format!("{message}{end}"));
        }
        let message = "invalid value: integer `-3`, expected usize";
        assert!(plain(message).ends_with("`-3`, expected a whole number of at least 0"));
    }
}
