//! Which classes and images are taken, and which become validation images.

use std::path::PathBuf;

use cream_cli::Failure;
use cream_data::keyed::{self, Key, Purpose};
use cream_data::shards::index::Classes;
use cream_data::shards::writer::drawn;

use super::{Found, Item, Listing, fault, sort};

/// Where images are and which of them are wanted.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What the user named.
    pub src: PathBuf,
    /// What every random choice depends on.
    pub seed: u64,
    /// Share of each class's training images that become validation images.
    pub val_share: Option<f64>,
    /// Training images of each class.
    pub per_class: Option<usize>,
    /// Validation images of each class.
    pub val_per_class: Option<usize>,
    /// The classes.
    pub classes: ClassChoice,
    /// Threads that list large sources; what is listed does not depend on it.
    pub workers: usize,
}

/// Which classes are taken.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassChoice {
    /// All of them.
    All,
    /// Those named.
    Named(Vec<String>),
    /// So many, at random.
    Random(usize),
}

/// Applies the choice to what was found.
pub(super) fn choose(found: Found, choice: &Choice) -> Result<Listing, Failure> {
    let Found { kind, classes, mut train, mut val, mut bad, ignored, fingerprint } = found;
    let seed = choice.seed;
    match (val.is_empty(), choice.val_share) {
        (true, Some(share)) => {
            let key = Key::new(seed, Purpose::Validation);
            (val, train) = draw(train, |class, count| (drawn(count, share), key, [class, 0]));
        }
        (true, None) => {
            let reason = "no validation images; make some with --val-share 0.1";
            return Err(fault(&choice.src, reason));
        }
        (false, Some(_)) => {
            let reason = "has validation images of its own; leave out --val-share";
            return Err(fault(&choice.src, reason));
        }
        (false, None) => {}
    }
    let key = Key::new(seed, Purpose::Subset);
    if let Some(most) = choice.per_class {
        train = draw(train, |class, _| (most, key, [class, 0])).0;
    }
    if let Some(most) = choice.val_per_class {
        val = draw(val, |class, _| (most, key, [class, 1])).0;
    }
    let taken = taken_classes(&classes.ids, choice)?;
    let numbers = numbers(&taken);
    for items in [&mut train, &mut val] {
        items.retain_mut(|item| match numbers[item.class as usize] {
            Some(number) => {
                item.class = number;
                true
            }
            None => false,
        });
    }
    // One of no known class stays: it might have been of any.
    bad.retain_mut(|bad| match bad.class.map(|class| numbers[class as usize]) {
        Some(number) => {
            bad.class = number;
            number.is_some()
        }
        None => true,
    });
    let classes = keep(classes, &taken);
    Ok(Listing { kind, classes, train, val, bad, ignored, fingerprint })
}

/// Draws some images of each class at random: (drawn, the others). `rule` says, for a class and
/// its number of images, how many, and what the choice depends on.
fn draw(
    mut items: Vec<Item>,
    rule: impl Fn(u64, usize) -> (usize, Key, [u64; 2]),
) -> (Vec<Item>, Vec<Item>) {
    sort(&mut items);
    let mut taken = vec![false; items.len()];
    let mut start = 0;
    for class in items.chunk_by(|a, b| a.class == b.class) {
        let (count, key, indices) = rule(class[0].class.into(), class.len());
        let mut order: Vec<usize> = (start..start + class.len()).collect();
        keyed::shuffle(&mut key.rng(&indices), &mut order);
        for place in order.into_iter().take(count) {
            taken[place] = true;
        }
        start += class.len();
    }
    let mut taken = taken.into_iter();
    items.into_iter().partition(|_| taken.next().unwrap_or(false))
}

/// For each class, whether it is taken.
fn taken_classes(classes: &[String], choice: &Choice) -> Result<Vec<bool>, Failure> {
    match &choice.classes {
        ClassChoice::All => Ok(vec![true; classes.len()]),
        ClassChoice::Named(names) => {
            if let Some(unknown) = names.iter().find(|name| !classes.contains(name)) {
                let known = classes.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                let reason =
                    format!("no class {unknown}; its {} classes begin with {known}", classes.len());
                return Err(fault(&choice.src, reason));
            }
            Ok(classes.iter().map(|class| names.contains(class)).collect())
        }
        ClassChoice::Random(count) => {
            if *count > classes.len() {
                let reason =
                    format!("has {} classes, fewer than the {count} asked for", classes.len());
                return Err(fault(&choice.src, reason));
            }
            let mut order: Vec<usize> = (0..classes.len()).collect();
            keyed::shuffle(&mut Key::new(choice.seed, Purpose::Classes).rng(&[0, 0]), &mut order);
            let mut taken = vec![false; classes.len()];
            for &class in &order[..*count] {
                taken[class] = true;
            }
            Ok(taken)
        }
    }
}

/// The new number of each class that is taken.
fn numbers(taken: &[bool]) -> Vec<Option<u32>> {
    let mut next = 0..;
    taken.iter().map(|&taken| if taken { next.next() } else { None }).collect()
}

fn keep(classes: Classes, taken: &[bool]) -> Classes {
    let kept = |list: Vec<String>| {
        list.into_iter().zip(taken).filter(|(_, taken)| **taken).map(|(name, _)| name).collect()
    };
    Classes { ids: kept(classes.ids), names: classes.names.map(kept) }
}
