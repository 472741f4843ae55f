//! Finding the weights of a network in a checkpoint.

use std::collections::HashSet;

use crate::error::shown;
use crate::value::{Id, Value};
use crate::{Checkpoint, PthError, Tensor};

/// Keys under which trainers keep averaged weights, the most usual first.
const AVERAGED: &[&str] = &["state_dict_ema", "model_ema", "ema_state_dict", "ema"];
/// Keys under which they keep weights as the last step left them.
const RAW: &[&str] = &["state_dict", "model_state_dict", "model", "net", "network", "params"];
/// Where a key of these holds no weights itself, they may be one step further.
const INNER: [&str; 4] = ["state_dict", "module", "model", "shadow"];
/// What data parallelism and compilation put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];
/// Keys that a message lists.
const LISTED: usize = 20;

/// Which weights, where a checkpoint holds several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// Averaged weights where there are such, otherwise raw ones.
    #[default]
    Either,
    /// The moving average over training.
    Averaged,
    /// As the last step left them.
    Raw,
}

/// The weights of a network.
#[derive(Clone, Debug)]
pub struct StateDict<'a> {
    /// Where they were: keys with a dot between them, or nothing if the file holds weights alone.
    pub place: String,
    /// Whether they stood under a name for averaged weights.
    pub averaged: bool,
    /// Names, each once, and tensors in the file's order. `module.` and `_orig_mod.` are taken off where all names
    /// begin with them.
    pub tensors: Vec<(String, Tensor<'a>)>,
}

/// Finds the weights: under a known key, one step below that, or at the top.
pub(crate) fn find<'a>(file: &Checkpoint<'a>, which: Which) -> Result<StateDict<'a>, PthError> {
    let keys: &[(&[&str], bool)] = match which {
        Which::Either => &[(AVERAGED, true), (RAW, false)],
        Which::Averaged => &[(AVERAGED, true)],
        Which::Raw => &[(RAW, false)],
    };
    for &(keys, averaged) in keys {
        for key in keys {
            let Some(dict) = file.item(file.root(), key) else { continue };
            if is_dict_of_tensors(file, dict) {
                return gather(file, dict, (*key).to_owned(), averaged);
            }
            for inner in INNER {
                if let Some(dict) = file.item(dict, inner)
                    && is_dict_of_tensors(file, dict)
                {
                    return gather(file, dict, format!("{key}.{inner}"), averaged);
                }
            }
        }
    }
    if which != Which::Averaged && is_dict_of_tensors(file, file.root()) {
        return gather(file, file.root(), String::new(), false);
    }
    let what = match which {
        Which::Either => "no weights found".to_owned(),
        Which::Averaged => format!("no averaged weights found under {}", AVERAGED.join(", ")),
        Which::Raw => format!("no weights found under {}", RAW.join(", ")),
    };
    Err(PthError::NoWeights { what, seen: seen(file) })
}

/// Whether `id` is a dictionary whose values are mostly tensors; which are not, [`gather`] says.
fn is_dict_of_tensors(file: &Checkpoint<'_>, id: Id) -> bool {
    let Value::Dict(items) = file.value(id) else { return false };
    let is_tensor = |(_, value): &&(Id, Id)| matches!(file.value(*value), Value::Tensor(_));
    let tensors = items.iter().filter(is_tensor).count();
    tensors > 0 && tensors * 2 > items.len()
}

fn gather<'a>(
    file: &Checkpoint<'a>,
    dict: Id,
    place: String,
    averaged: bool,
) -> Result<StateDict<'a>, PthError> {
    let Value::Dict(items) = file.value(dict) else {
        return Err(PthError::NoWeights { what: "no weights found".to_owned(), seen: seen(file) });
    };
    let wrong = |what: String| {
        let place = if place.is_empty() { "the file" } else { place.as_str() };
        let seen = "weights are tensors, each under a name of its own".to_owned();
        PthError::NoWeights { what: format!("{place} holds {what}"), seen }
    };
    let mut names = Vec::with_capacity(items.len());
    let mut known = HashSet::with_capacity(items.len());
    let mut total = 0_u64;
    let mut tensors = Vec::with_capacity(items.len());
    for &(key, value) in items {
        let Value::Str(name) = *file.value(key) else {
            return Err(wrong(format!("{} for a name", file.value(key).kind())));
        };
        if !known.insert(name) {
            return Err(wrong(format!("{} twice", shown(name))));
        }
        if !matches!(file.value(value), Value::Tensor(_)) {
            return Err(wrong(format!("{}, which is {}", shown(name), file.value(value).kind())));
        }
        let tensor = file.tensor(value, name)?;
        total = total.saturating_add((tensor.count() * tensor.dtype.bytes()) as u64);
        file.bounded(total, || "weights".to_owned())?;
        names.push(name);
        tensors.push(tensor);
    }
    unwrap(&mut names);
    let tensors = names.into_iter().map(str::to_owned).zip(tensors).collect();
    Ok(StateDict { place, averaged, tensors })
}

/// Takes wrappers off, as long as every name has one.
fn unwrap(names: &mut [&str]) {
    let wraps_all = |wrapper: &str, names: &[&str]| {
        let wraps = |name: &&str| name.len() > wrapper.len() && name.starts_with(wrapper);
        !names.is_empty() && names.iter().all(wraps)
    };
    while let Some(wrapper) = WRAPPERS.into_iter().find(|wrapper| wraps_all(wrapper, names)) {
        for name in names.iter_mut() {
            let wrapped: &str = name;
            *name = wrapped.strip_prefix(wrapper).unwrap_or(wrapped);
        }
    }
}

/// What a message says of the file's top level.
fn seen(file: &Checkpoint<'_>) -> String {
    let Value::Dict(items) = file.value(file.root()) else {
        return format!("the file holds {}", file.value(file.root()).kind());
    };
    let names = items.iter().map(|&(key, value)| match *file.value(key) {
        Value::Str(key) => format!("{} ({})", shown(key), file.value(value).kind()),
        ref other => other.kind().to_owned(),
    });
    let mut names: Vec<String> = names.take(LISTED).collect();
    if items.is_empty() {
        return "the file holds an empty dictionary".to_owned();
    }
    if items.len() > LISTED {
        names.push(format!("{} more", items.len() - LISTED));
    }
    format!("the file holds {}", names.join(", "))
}
