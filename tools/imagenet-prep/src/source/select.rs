//! Which classes and images are taken, and which become validation images.

use cream_cli::Failure;
use cream_data::keyed::{self, Key, Purpose};
use cream_data::shards::writer::drawn;

use super::{Found, Item, Listing, fault};
use crate::args::{ClassChoice, Options};

/// Applies the options to what was found.
pub fn choose(found: Found, options: &Options) -> Result<Listing, Failure> {
    let Found { kind, classes, mut train, mut val, ignored, fingerprint } = found;
    let seed = options.seed;
    match (val.is_empty(), options.val_share) {
        (true, Some(share)) => {
            let key = Key::new(seed, Purpose::Validation);
            (val, train) = draw(train, |class, count| (drawn(count, share), key, [class, 0]));
        }
        (true, None) => {
            let reason = "no validation images; make some with --val-share 0.1";
            return Err(fault(&options.src, reason));
        }
        (false, Some(_)) => {
            let reason = "has validation images of its own; leave out --val-share";
            return Err(fault(&options.src, reason));
        }
        (false, None) => {}
    }
    let key = Key::new(seed, Purpose::Subset);
    if let Some(most) = options.per_class {
        train = draw(train, |class, _| (most, key, [class, 0])).0;
    }
    if let Some(most) = options.val_per_class {
        val = draw(val, |class, _| (most, key, [class, 1])).0;
    }
    let taken = taken_classes(&classes, options)?;
    let classes = keep_classes(classes, &taken, [&mut train, &mut val]);
    Ok(Listing { kind, classes, train, val, bad: Vec::new(), ignored, fingerprint })
}

/// Draws some images of each class at random: (drawn, the others). `rule` says, for a class and
/// its number of images, how many, and what the choice depends on.
fn draw(
    mut items: Vec<Item>,
    rule: impl Fn(u64, usize) -> (usize, Key, [u64; 2]),
) -> (Vec<Item>, Vec<Item>) {
    items.sort_by(|a, b| (a.class, &a.key, &a.name).cmp(&(b.class, &b.key, &b.name)));
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    for class in items.chunk_by(|a, b| a.class == b.class) {
        let (count, key, indices) = rule(class[0].class.into(), class.len());
        let mut order: Vec<&Item> = class.iter().collect();
        keyed::shuffle(&mut key.rng(&indices), &mut order);
        let (first, others) = order.split_at(count.min(order.len()));
        taken.extend(first.iter().copied().cloned());
        rest.extend(others.iter().copied().cloned());
    }
    (taken, rest)
}

/// For each class, whether it is taken.
fn taken_classes(classes: &[String], options: &Options) -> Result<Vec<bool>, Failure> {
    match &options.classes {
        ClassChoice::All => Ok(vec![true; classes.len()]),
        ClassChoice::Named(names) => {
            if let Some(unknown) = names.iter().find(|name| !classes.contains(name)) {
                let known = classes.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                let reason =
                    format!("no class {unknown}; its {} classes begin with {known}", classes.len());
                return Err(fault(&options.src, reason));
            }
            Ok(classes.iter().map(|class| names.contains(class)).collect())
        }
        ClassChoice::Random(count) => {
            if *count > classes.len() {
                let reason =
                    format!("has {} classes, fewer than the {count} asked for", classes.len());
                return Err(fault(&options.src, reason));
            }
            let mut order: Vec<usize> = (0..classes.len()).collect();
            keyed::shuffle(&mut Key::new(options.seed, Purpose::Classes).rng(&[0, 0]), &mut order);
            let mut taken = vec![false; classes.len()];
            for &class in &order[..*count] {
                taken[class] = true;
            }
            Ok(taken)
        }
    }
}

/// Drops the classes that are not taken and numbers the others anew.
fn keep_classes(classes: Vec<String>, taken: &[bool], parts: [&mut Vec<Item>; 2]) -> Vec<String> {
    let mut next = 0;
    let numbers: Vec<Option<u32>> = taken
        .iter()
        .map(|&taken| {
            taken.then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    for items in parts {
        items.retain_mut(|item| match numbers[item.class as usize] {
            Some(number) => {
                item.class = number;
                true
            }
            None => false,
        });
    }
    classes.into_iter().zip(taken).filter(|(_, taken)| **taken).map(|(class, _)| class).collect()
}
