//! Settings from flags, then the environment, then a TOML file, then defaults.
//!
//! A tool's settings are one flat struct with `#[serde(rename_all = "kebab-case")]`, whose `Default`
//! is the only place where defaults live. Its keys are what serialising that default yields, so an
//! optional setting must serialise as null: no `skip_serializing_if`. Use `f64` for fractions, because
//! an `f32` prints with noise digits.
//!
//! | layer | key `warmup-epochs` |
//! |---|---|
//! | flag | `--warmup-epochs 3` |
//! | environment | `CREAM_WARMUP_EPOCHS=3`; an empty value counts as unset |
//! | file | `warmup-epochs = 3` |
//! | default | `Settings::default()` |
//!
//! An unknown key in a file is an error that names the nearest known one. The environment is shared
//! by tools with different settings, so a `CREAM_` variable that this tool does not know is not an
//! error; [`Resolved::print`] lists it as ignored.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{Failure, OrFail, read_text};

/// No recipe comes near this; a file that does is not one.
const FILE_LIMIT: u64 = 1 << 20;

const PREFIX: &str = "CREAM_";

/// Where a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The flag of the key's name.
    Flag,
    /// The environment variable of this name.
    Environment(String),
    /// The file given with `--config`.
    File(PathBuf),
    /// The tool's default.
    Default,
}

impl Source {
    fn describe(&self, key: &str) -> String {
        match self {
            Self::Flag => format!("flag --{key}"),
            Self::Environment(variable) => format!("environment {variable}"),
            Self::File(path) => path.display().to_string(),
            Self::Default => "default".to_owned(),
        }
    }
}

/// Settings with the source of each.
#[derive(Clone, Debug)]
pub struct Resolved<S> {
    /// The settings themselves.
    pub settings: S,
    values: Map<String, Value>,
    sources: BTreeMap<String, Source>,
    ignored: Vec<String>,
}

impl<S> Resolved<S> {
    /// Where the value of `key` came from; nothing for an unknown key.
    pub fn source(&self, key: &str) -> Option<&Source> {
        self.sources.get(key)
    }

    /// The settings as TOML, unset ones left out. Reading it back as a file gives the same settings.
    pub fn to_toml(&self) -> String {
        let set = self.values.iter().filter(|(_, value)| !value.is_null());
        set.map(|(key, value)| format!("{key} = {}\n", Literal(value))).collect()
    }

    /// What `--print-config` prints: the same TOML, each key's source as a comment.
    pub fn print(&self) -> String {
        let mut text = String::new();
        for (key, source) in &self.sources {
            let source = one_line(&source.describe(key));
            text += &match self.values.get(key) {
                None | Some(Value::Null) => format!("# {key} is not set ({source})\n"),
                Some(value) => format!("{key} = {}  # {source}\n", Literal(value)),
            };
        }
        for line in &self.ignored {
            text += &format!("# ignored: {}\n", one_line(line));
        }
        text
    }
}

/// Resolves a tool's settings. `flags` is a struct of `Option`s with the same kebab-case keys, in
/// which `None` means that the flag was not given; `file` is the argument of `--config`.
///
/// # Errors
/// [`Failure::Input`] for an unreadable or too large file, an unknown key (naming the nearest known
/// one), and a value of the wrong type (naming the key, its source and what was expected).
pub fn resolve<S: Serialize + DeserializeOwned + Default>(
    flags: impl Serialize,
    file: Option<&Path>,
) -> Result<Resolved<S>, Failure> {
    resolve_from(flags, std::env::vars_os(), file).or_input()
}

/// As [`resolve`], where the file is another tool's and these settings are a part of it: its keys that are
/// not among them are passed over, and listed by [`Resolved::print`]. What a passed-over key should have
/// been is for the other tool to say.
///
/// # Errors
/// Those of [`resolve`], but for unknown keys.
pub fn resolve_part<S: Serialize + DeserializeOwned + Default>(
    flags: impl Serialize,
    file: Option<&Path>,
) -> Result<Resolved<S>, Failure> {
    resolve_with(flags, std::env::vars_os(), file, Unknown::PassOver).or_input()
}

/// Settings from the text of a file alone, which errors call `settings`; what it leaves out has its
/// default.
///
/// # Errors
/// Those of [`resolve`] about a file's content.
pub fn from_toml<S: Serialize + DeserializeOwned + Default>(
    text: &str,
) -> Result<Resolved<S>, Failure> {
    let read = || {
        let mut layers = Layers::of::<S>()?;
        layers.set_from_file::<S>(text, Path::new("settings"), Unknown::Refuse)?;
        layers.finish()
    };
    read().or_input()
}

fn resolve_from<S: Serialize + DeserializeOwned + Default>(
    flags: impl Serialize,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    file: Option<&Path>,
) -> anyhow::Result<Resolved<S>> {
    resolve_with(flags, environment, file, Unknown::Refuse)
}

fn resolve_with<S: Serialize + DeserializeOwned + Default>(
    flags: impl Serialize,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    file: Option<&Path>,
    unknown: Unknown,
) -> anyhow::Result<Resolved<S>> {
    let mut layers = Layers::of::<S>()?;
    if let Some(path) = file {
        layers.set_from_file::<S>(&read_file(path)?, path, unknown)?;
    }
    for (name, value) in environment {
        layers.set_from_environment::<S>(&name, &value)?;
    }
    layers.set_from_flags::<S>(&flags)?;
    layers.finish()
}

fn object(value: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    match serde_json::to_value(value)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => bail!("expected a struct of settings, found {other}"),
    }
}

/// What becomes of a file's unknown keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refuse,
    PassOver,
}

struct Layers {
    defaults: Map<String, Value>,
    values: Map<String, Value>,
    sources: BTreeMap<String, Source>,
    ignored: Vec<String>,
}

impl Layers {
    fn of<S: Serialize + Default>() -> anyhow::Result<Self> {
        let defaults = object(&S::default()).context("the default settings")?;
        let sources = defaults.keys().map(|key| (key.clone(), Source::Default)).collect();
        Ok(Self { values: defaults.clone(), defaults, sources, ignored: Vec::new() })
    }

    fn set_from_file<S: DeserializeOwned>(
        &mut self,
        text: &str,
        path: &Path,
        unknown: Unknown,
    ) -> anyhow::Result<()> {
        let mut read = || {
            parse(text)?.into_iter().try_for_each(|(key, value)| {
                if unknown == Unknown::PassOver && !self.defaults.contains_key(&key) {
                    self.ignored.push(format!("{key} in {}", path.display()));
                    return Ok(());
                }
                self.set::<S>(&key, value, Source::File(path.to_owned()))
            })
        };
        read().with_context(|| path.display().to_string())
    }

    fn set_from_flags<S: DeserializeOwned>(
        &mut self,
        flags: &impl Serialize,
    ) -> anyhow::Result<()> {
        let given = object(flags).context("the flags")?;
        // JSON has no NaN and no infinities and writes null, as for a flag that was not given.
        // TOML has them and leaves out what was not given.
        if let Ok(toml::Value::Table(exact)) = toml::Value::try_from(flags) {
            for (key, value) in exact {
                check_finite(&value).with_context(|| Source::Flag.describe(&key))?;
            }
        }
        for (key, value) in given {
            // A flag that was not given; skipping it lets the flags' struct be a plain derive.
            if !value.is_null() {
                self.set::<S>(&key, value, Source::Flag)?;
            }
        }
        Ok(())
    }

    fn set<S: DeserializeOwned>(
        &mut self,
        key: &str,
        value: Value,
        source: Source,
    ) -> anyhow::Result<()> {
        if !self.defaults.contains_key(key) {
            bail!("unknown key `{key}`{}", self.nearest(key));
        }
        self.check::<S>(key, &value).with_context(|| match &source {
            Source::File(_) => format!("key `{key}`"),
            source => source.describe(key),
        })?;
        self.values.insert(key.to_owned(), value);
        self.sources.insert(key.to_owned(), source);
        Ok(())
    }

    /// Reads the value into the defaults alone, so that an error is this value's and no other's.
    fn check<S: DeserializeOwned>(&self, key: &str, value: &Value) -> anyhow::Result<()> {
        if value.as_u64().is_some_and(|number| i64::try_from(number).is_err()) {
            bail!("{value} is too large: at most {} (TOML's largest integer)", i64::MAX);
        }
        let mut trial = self.defaults.clone();
        trial.insert(key.to_owned(), value.clone());
        let read = serde_json::from_value::<S>(Value::Object(trial)).map(drop);
        read.map_err(|error| anyhow!(in_words_of_files(&error.to_string())))
    }

    fn set_from_environment<S: DeserializeOwned>(
        &mut self,
        name: &OsString,
        value: &OsString,
    ) -> anyhow::Result<()> {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            return Ok(());
        };
        let key = name[PREFIX.len()..].to_lowercase().replace('_', "-");
        let Some(default) = self.defaults.get(&key).cloned() else {
            self.ignored.push(format!("{name}{}", self.nearest(&key)));
            return Ok(());
        };
        let text = value.to_str().ok_or_else(|| anyhow!("environment {name}: not UTF-8 text"))?;
        if text.is_empty() {
            return Ok(());
        }
        let as_text = Value::String(text.to_owned());
        let as_json = serde_json::from_str(text).unwrap_or_else(|_| as_text.clone());
        let value = match default {
            Value::String(_) => as_text,
            // An unset optional setting does not show its type: whichever reading it accepts.
            Value::Null if self.check::<S>(&key, &as_json).is_err() => as_text,
            _ => as_json,
        };
        let source = Source::Environment(name.to_owned());
        let infinite = text.parse::<f64>().is_ok_and(|number| !number.is_finite());
        if infinite && self.check::<S>(&key, &value).is_err() {
            return Err(anyhow!(not_finite(text)).context(source.describe(&key)));
        }
        self.set::<S>(&key, value, source)
    }

    /// `; did you mean ...?`, or all known keys when nothing is near.
    fn nearest(&self, key: &str) -> String {
        let scored = self.defaults.keys().map(|known| (strsim::jaro_winkler(key, known), known));
        match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((score, known)) if score > 0.75 => format!("; did you mean `{known}`?"),
            _ => {
                let known: Vec<&str> = self.defaults.keys().map(String::as_str).collect();
                format!("; the keys are {}", known.join(", "))
            }
        }
    }

    fn finish<S: DeserializeOwned>(mut self) -> anyhow::Result<Resolved<S>> {
        self.ignored.sort();
        let settings = serde_json::from_value(Value::Object(self.values.clone()))?;
        let Self { values, sources, ignored, .. } = self;
        Ok(Resolved { settings, values, sources, ignored })
    }
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    let name = path.to_str().ok_or_else(|| anyhow!("{}: name is not UTF-8", path.display()))?;
    read_text(name, FILE_LIMIT).map_err(Failure::into_error)
}

fn parse(text: &str) -> anyhow::Result<Map<String, Value>> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        anyhow!("line {}: {}", before.matches('\n').count() + 1, error.message())
    })?;
    let convert = |(key, value)| match json(value) {
        Ok(value) => Ok((key, value)),
        Err(error) => Err(error.context(format!("key `{key}`"))),
    };
    table.into_iter().map(convert).collect()
}

fn json(value: toml::Value) -> anyhow::Result<Value> {
    check_finite(&value)?;
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(json).collect::<anyhow::Result<_>>()?)
        }
        toml::Value::Datetime(_) => bail!("no setting is a date; put text in quotes"),
        toml::Value::Table(_) => bail!("settings are flat: no [section] and no table"),
    })
}

/// Refuses NaN and infinities, also in a list.
fn check_finite(value: &toml::Value) -> anyhow::Result<()> {
    match value {
        toml::Value::Float(number) if !number.is_finite() => bail!(not_finite(number)),
        toml::Value::Array(items) => items.iter().try_for_each(check_finite),
        _ => Ok(()),
    }
}

/// Serde's message with the types of files rather than of the program.
fn in_words_of_files(message: &str) -> String {
    const WORDS: [(&str, &str); 4] = [
        ("expected usize", "expected a whole number of at least 0"),
        ("expected u64", "expected a whole number of at least 0"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
    ];
    WORDS.iter().fold(message.to_owned(), |text, (rust, word)| text.replace(rust, word))
}

fn not_finite(number: impl fmt::Display) -> String {
    format!("{number} is no finite number; give one, or leave the setting out")
}

/// JSON's numbers, strings and arrays are also TOML's, but for one character: TOML wants DEL escaped.
struct Literal<'a>(&'a Value);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().replace('\u{7f}', "\\u007f"))
    }
}

/// A path may hold a newline, which would end the comment it stands in.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
