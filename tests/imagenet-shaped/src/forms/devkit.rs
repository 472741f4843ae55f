//! The development kit: what the official class numbers mean, and which of them each validation image
//! has.

use std::io::Write;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::archives::header;
use crate::matlab::{self, Value};
use crate::plan::{Plan, Split};

const ROOT: &str = "ILSVRC2012_devkit_t12";
const README: &str = "Made-up data shaped as the development kit of ILSVRC2012, for tests.\n";

/// Writes the gzipped tar.
pub fn write(plan: &Plan, file: &mut impl Write) -> Result<()> {
    let numbers = plan.official_numbers();
    let truth: String = plan
        .entries(Split::Val)
        .into_iter()
        .map(|entry| format!("{}\n", numbers[plan.class(entry)]))
        .collect();
    let rows = synsets(plan, &numbers);
    let files = [
        ("readme.txt", README.as_bytes().to_vec()),
        ("data/meta.mat", matlab::file("synsets", FIELDS, &rows)?),
        ("data/ILSVRC2012_validation_ground_truth.txt", truth.into_bytes()),
    ];
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    for folder in ["", "data/"] {
        let mut header = header(&format!("{ROOT}/{folder}"), 0)?;
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_cksum();
        archive.append(&header, &[][..])?;
    }
    for (name, content) in files {
        let header = header(&format!("{ROOT}/{name}"), content.len() as u64)?;
        archive.append(&header, content.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(())
}

const FIELDS: &[&str] = &[
    "ILSVRC2012_ID",
    "WNID",
    "words",
    "gloss",
    "num_children",
    "children",
    "wordnet_height",
    "num_train_images",
];

/// A row per class by official number, then one per group, then the one above all groups.
fn synsets(plan: &Plan, numbers: &[usize]) -> Vec<Vec<Value>> {
    let classes = numbers.len();
    let mut order: Vec<usize> = (0..classes).collect();
    order.sort_unstable_by_key(|&class| numbers[class]);
    let mut rows: Vec<Vec<Value>> = order
        .iter()
        .enumerate()
        .map(|(row, &class)| {
            let images = plan.train_range(class).len();
            synset(row + 1, &plan.synsets[class], Vec::new(), (0, images))
        })
        .collect();
    let (groups, top) = plan.groups.split_at(plan.groups.len() - 1);
    for (place, group) in groups.iter().enumerate() {
        let children = (place * 10 + 1..=(place * 10 + 10).min(classes)).collect();
        rows.push(synset(classes + place + 1, group, children, (1, 0)));
    }
    for group in top {
        let children = (classes + 1..=classes + groups.len()).collect();
        rows.push(synset(classes + groups.len() + 1, group, children, (2, 0)));
    }
    rows
}

/// Values in the order of [`FIELDS`].
fn synset(
    number: usize,
    id: &str,
    children: Vec<usize>,
    (height, images): (usize, usize),
) -> Vec<Value> {
    vec![
        Value::number(number),
        Value::Text(id.to_owned()),
        Value::Text(format!("made-up {number}, synset {id}")),
        Value::Text(format!("nothing in particular; \"{id}\" is a name, and <words> are words")),
        Value::number(children.len()),
        Value::Numbers(children),
        Value::number(height),
        Value::number(images),
    ]
}
