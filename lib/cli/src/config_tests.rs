//! Layers, sources, types and names of settings.

use super::*;
use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Schedule {
    Cosine,
    StepDecay,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    epochs: u32,
    learning_rate: Option<f64>,
    momentum: f64,
    depths: Vec<usize>,
    schedule: Schedule,
    fallback: Option<Schedule>,
    label: Option<String>,
    nesterov: bool,
    seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            epochs: 120,
            learning_rate: None,
            momentum: 0.9,
            depths: vec![1, 2, 2, 1, 1],
            schedule: Schedule::StepDecay,
            fallback: None,
            label: None,
            nesterov: true,
            seed: 0,
        }
    }
}

#[derive(Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Flags {
    epochs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
}

fn with(
    flags: Flags,
    environment: &[(&str, &str)],
    file: Option<&str>,
) -> anyhow::Result<Resolved<Settings>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("recipe.toml");
    if let Some(text) = file {
        std::fs::write(&path, text)?;
    }
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    resolve_from(flags, environment, file.map(|_| path.as_path()))
}

fn error(environment: &[(&str, &str)], file: Option<&str>) -> String {
    format!("{:#}", with(Flags::default(), environment, file).unwrap_err())
}

#[test]
fn defaults_stand_when_nothing_is_given() {
    let resolved = with(Flags::default(), &[("PATH", "/bin"), ("EPOCHS", "3")], None).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    assert_eq!(resolved.source("epochs"), Some(&Source::Default));
    assert_eq!(resolved.source("epoch"), None);
}

#[test]
fn each_layer_overrides_the_one_below_and_is_named() {
    let file = "epochs = 1\nmomentum = 0.5\nseed = 1\nlearning-rate = 1\n";
    let environment = [("CREAM_EPOCHS", "2"), ("CREAM_MOMENTUM", "0.25")];
    let flags = Flags { epochs: Some(3), seed: None };
    let resolved = with(flags, &environment, Some(file)).unwrap();
    let settings = &resolved.settings;
    assert_eq!((settings.epochs, settings.momentum, settings.seed), (3, 0.25, 1));
    assert_eq!(settings.learning_rate, Some(1.0));
    assert_eq!(resolved.source("epochs"), Some(&Source::Flag));
    let variable = Source::Environment("CREAM_MOMENTUM".to_owned());
    assert_eq!(resolved.source("momentum"), Some(&variable));
    assert!(matches!(resolved.source("seed"), Some(Source::File(_))));
}

#[test]
fn environment_values_take_the_type_of_the_setting() {
    let environment = [
        ("CREAM_DEPTHS", "[2,3]"),
        ("CREAM_SCHEDULE", "cosine"),
        ("CREAM_FALLBACK", "cosine"),
        ("CREAM_LABEL", "123"),
        ("CREAM_NESTEROV", "false"),
        ("CREAM_LEARNING_RATE", "1e-3"),
        ("CREAM_EPOCHS", ""),
    ];
    let settings = with(Flags::default(), &environment, None).unwrap().settings;
    let expected = Settings {
        depths: vec![2, 3],
        schedule: Schedule::Cosine,
        fallback: Some(Schedule::Cosine),
        label: Some("123".to_owned()),
        nesterov: false,
        learning_rate: Some(1e-3),
        ..Settings::default()
    };
    assert_eq!(settings, expected);
}

#[test]
fn an_unknown_key_in_a_file_names_the_nearest() {
    let message = error(&[], Some("epoch = 3\n"));
    assert!(message.ends_with("recipe.toml: unknown key `epoch`; did you mean `epochs`?"));
    let message = error(&[], Some("zzz = 3\n"));
    assert!(message.contains("the keys are depths, epochs, fallback"), "{message}");
}

#[test]
fn an_unknown_flag_is_an_error_too() {
    #[derive(Serialize)]
    struct Wrong {
        epoch: u32,
    }
    let result = resolve_from::<Settings>(Wrong { epoch: 3 }, [], None);
    let message = result.unwrap_err().to_string();
    assert!(message.contains("unknown key `epoch`; did you mean `epochs`?"), "{message}");
}

#[test]
fn an_unknown_variable_is_listed_as_ignored() {
    let resolved = with(Flags::default(), &[("CREAM_EPOCH", "3")], None).unwrap();
    assert_eq!(resolved.settings, Settings::default());
    let printed = resolved.print();
    assert!(
        printed.contains("# ignored: CREAM_EPOCH; did you mean `epochs`?\n"),
        "unexpected: {printed}"
    );
}

#[test]
fn type_errors_name_key_source_and_expectation() {
    let message = error(&[], Some("epochs = \"three\"\n"));
    assert!(message.contains("recipe.toml: key `epochs`: invalid type: string \"three\""));
    assert!(message.contains("expected u32"), "{message}");
    let message = error(&[("CREAM_EPOCHS", "many")], None);
    assert!(message.starts_with("environment CREAM_EPOCHS: invalid type"), "{message}");
    let message = error(&[("CREAM_SCHEDULE", "linear")], None);
    assert!(message.contains("`linear`, expected `cosine` or `step-decay`"), "{message}");
    let message = error(&[], Some("epochs = -1\n"));
    assert!(message.contains("integer `-1`, expected u32"), "{message}");
}

#[test]
fn what_toml_allows_and_settings_do_not_is_refused() {
    for (file, reason) in [
        ("momentum = nan\n", "key `momentum`: NaN is no finite number"),
        ("label = 2020-01-01\n", "key `label`: no setting is a date"),
        ("[epochs]\na = 1\n", "key `epochs`: settings are flat"),
        ("epochs = 1\nepochs = 2\n", "line 2: duplicate key"),
        ("seed = 1\nepochs = \n", "line 2: "),
    ] {
        let message = error(&[], Some(file));
        assert!(message.contains(reason), "{file:?}: {message}");
    }
    let huge = "#".repeat(FILE_LIMIT as usize + 1);
    assert!(error(&[], Some(&huge)).contains("larger than"));
}

#[test]
fn an_integer_that_toml_cannot_hold_is_refused() {
    let flags = Flags { epochs: None, seed: Some(u64::MAX) };
    let message = format!("{:#}", with(flags, &[], None).unwrap_err());
    assert!(message.starts_with("flag --seed: 18446744073709551615 is too large"), "{message}");
}

#[test]
fn a_missing_file_is_named() {
    let result = resolve::<Settings>(Flags::default(), Some(Path::new("/nowhere/recipe.toml")));
    let failure = result.unwrap_err();
    assert_eq!(failure.status(), 2);
    assert!(format!("{:#}", failure.error()).starts_with("/nowhere/recipe.toml: No such file"));
}

#[test]
fn saved_settings_read_back_the_same() {
    let label = "a \"quoted\" \\ line\nand \u{7f}\u{1} more";
    let environment = [("CREAM_LABEL", label), ("CREAM_LEARNING_RATE", "1e-300")];
    let first = with(Flags::default(), &environment, None).unwrap();
    let text = first.to_toml();
    assert!(!text.contains("fallback"), "unset settings are left out: {text}");
    let second = with(Flags::default(), &[], Some(&text)).unwrap();
    assert_eq!(first.settings, second.settings);
    assert_eq!(text, second.to_toml());
}

#[test]
fn printing_shows_each_source_and_is_toml_itself() {
    let flags = Flags { epochs: Some(3), seed: None };
    let resolved = with(flags, &[("CREAM_MOMENTUM", "0.25")], None).unwrap();
    let printed = resolved.print();
    assert!(printed.contains("epochs = 3  # flag --epochs\n"), "{printed}");
    assert!(printed.contains("momentum = 0.25  # environment CREAM_MOMENTUM\n"), "{printed}");
    assert!(printed.contains("# learning-rate is not set (default)\n"), "{printed}");
    assert!(printed.contains("schedule = \"step-decay\"  # default\n"), "{printed}");
    let again = with(Flags::default(), &[], Some(&printed)).unwrap();
    assert_eq!(again.settings, resolved.settings);
}

#[test]
fn numbers_that_are_not_finite_are_refused_wherever_they_come_from() {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Rates {
        epochs: Option<u32>,
        learning_rate: Option<f64>,
        momentum: Option<f64>,
    }
    let flag = |learning_rate, momentum| {
        let flags = Rates { epochs: None, learning_rate, momentum };
        format!("{:#}", resolve_from::<Settings>(flags, [], None).unwrap_err())
    };
    let advice = "is no finite number; give one, or leave the setting out";
    assert_eq!(flag(Some(f64::NAN), None), format!("flag --learning-rate: NaN {advice}"));
    assert_eq!(flag(None, Some(f64::INFINITY)), format!("flag --momentum: inf {advice}"));
    for text in ["nan", "-inf", "1e999"] {
        for (variable, key) in
            [("CREAM_LEARNING_RATE", "learning-rate"), ("CREAM_MOMENTUM", "momentum")]
        {
            let message = error(&[(variable, text)], None);
            assert_eq!(message, format!("environment {variable}: {text} {advice}"), "{key}");
        }
        if text != "1e999" {
            let message = error(&[], Some(&format!("learning-rate = {text}\n")));
            let number: f64 = text.parse().unwrap();
            assert!(
                message.ends_with(&format!("recipe.toml: key `learning-rate`: {number} {advice}")),
                "{message}"
            );
        }
    }
    // A text may be spelt like one.
    let resolved = with(Flags::default(), &[("CREAM_LABEL", "inf")], None).unwrap();
    assert_eq!(resolved.settings.label.as_deref(), Some("inf"));
}

#[test]
fn flags_beyond_toml_and_not_finite_ones_are_both_named() {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Two {
        momentum: f64,
        seed: u64,
    }
    let result = resolve_from::<Settings>(Two { momentum: f64::NAN, seed: u64::MAX }, [], None);
    let message = format!("{:#}", result.unwrap_err());
    assert!(message.starts_with("flag --seed: 18446744073709551615 is too large"), "{message}");
}

#[test]
fn a_text_alone_is_read_as_a_file_is() {
    let resolved = from_toml::<Settings>("epochs = 3\n").unwrap();
    assert_eq!(resolved.settings, Settings { epochs: 3, ..Settings::default() });
    assert_eq!(resolved.to_toml(), from_toml::<Settings>(&resolved.to_toml()).unwrap().to_toml());
    let failure = from_toml::<Settings>("epoch = 3\n").unwrap_err();
    assert_eq!(failure.status(), 2);
    let message = format!("{:#}", failure.error());
    assert_eq!(message, "settings: unknown key `epoch`; did you mean `epochs`?");
}

#[test]
fn of_another_tool_s_file_the_known_keys_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        resolve_with::<Settings>(Flags::default(), [], Some(&path), Unknown::PassOver)
    };
    let resolved = read("epochs = 7\nepohcs = 8\nboard-size = 3\n").unwrap();
    assert_eq!(resolved.settings.epochs, 7);
    let printed = resolved.print();
    assert!(printed.contains("# ignored: board-size in ") && printed.contains("# ignored: epohcs"));
    // What is known still has to be right.
    let error = format!("{:#}", read("epochs = \"x\"\nboard-size = 3\n").unwrap_err());
    assert!(error.contains("key `epochs`: invalid type"), "{error}");
}
