//! What the set holds: classes, and every image's class and name. Pixels are elsewhere.

use std::collections::HashSet;

use cream_data::keyed::{ChaCha8Rng, Key, Purpose, below, shuffle};

use crate::args::Options;

/// First and last number of a class id: WordNet's of the first and about the last class of ImageNet.
const SYNSETS: (u64, u64) = (1_440_764, 15_075_141);

/// What is drawn; with an index it picks the generator.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub enum Draw {
    Synsets = 1,
    /// Indexed by class.
    FileNumbers = 2,
    ValLabels = 3,
    OfficialNumbers = 4,
    /// Indexed by split.
    Rows = 5,
    /// Indexed by image.
    TrainImage = 6,
    /// Indexed by image.
    ValImage = 7,
    Grain = 8,
}

/// Training or validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    Train,
    Val,
}

/// An image of the set: its split, and its number there from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub split: Split,
    pub index: usize,
}

/// Classes and names of the whole set.
#[derive(Debug)]
pub struct Plan {
    key: Key,
    train: usize,
    /// Class ids, ascending: a class number is a place here.
    pub synsets: Vec<String>,
    /// Ids of the groups that classes belong to in the development kit.
    pub groups: Vec<String>,
    /// The number in every training image's file name.
    numbers: Vec<u64>,
    /// Every validation image's class.
    val_labels: Vec<usize>,
    pub hazards: bool,
}

impl Plan {
    /// Draws all names and labels.
    pub fn new(options: &Options) -> Self {
        let key = Key::new(options.seed, Purpose::Synthetic);
        let (synsets, groups) = draw_synsets(&key, options.classes);
        let mut plan = Self {
            key,
            train: options.train,
            synsets,
            groups,
            numbers: Vec::with_capacity(options.train),
            val_labels: (0..options.val).map(|index| index % options.classes).collect(),
            hazards: options.hazards,
        };
        for class in 0..options.classes {
            let count = plan.train_range(class).len();
            plan.numbers.extend(distinct(
                &mut plan.rng(Draw::FileNumbers, class),
                count,
                (1, 30_000.max(2 * count as u64)),
            ));
        }
        shuffle(&mut plan.rng(Draw::ValLabels, 0), &mut plan.val_labels);
        plan
    }

    /// The generator for one purpose and index.
    pub fn rng(&self, draw: Draw, index: usize) -> ChaCha8Rng {
        self.key.rng(&[draw as u64, index as u64])
    }

    /// The class's training images, which lie one after the other.
    pub fn train_range(&self, class: usize) -> std::ops::Range<usize> {
        let start = |class: usize| class * self.train / self.synsets.len();
        start(class)..start(class + 1)
    }

    /// The split's images in order.
    pub fn entries(&self, split: Split) -> Vec<Entry> {
        let count = match split {
            Split::Train => self.train,
            Split::Val => self.val_labels.len(),
        };
        (0..count).map(|index| Entry { split, index }).collect()
    }

    /// The image's class number.
    pub fn class(&self, entry: Entry) -> usize {
        match entry.split {
            // The last class that starts at or before the image.
            Split::Train => ((entry.index + 1) * self.synsets.len() - 1) / self.train,
            Split::Val => self.val_labels[entry.index],
        }
    }

    /// The official file name.
    pub fn file_name(&self, entry: Entry) -> String {
        match entry.split {
            Split::Train => {
                let synset = &self.synsets[self.class(entry)];
                format!("{synset}_{}.JPEG", self.numbers[entry.index])
            }
            Split::Val => format!("ILSVRC2012_val_{:08}.JPEG", entry.index + 1),
        }
    }

    /// Every class's number in the development kit, from 1: another order than the ids'.
    pub fn official_numbers(&self) -> Vec<usize> {
        let mut numbers: Vec<usize> = (1..=self.synsets.len()).collect();
        shuffle(&mut self.rng(Draw::OfficialNumbers, 0), &mut numbers);
        if numbers.is_sorted() {
            numbers.reverse();
        }
        numbers
    }
}

/// Ids of the classes and of their groups, ten classes to a group and one group above all.
fn draw_synsets(key: &Key, classes: usize) -> (Vec<String>, Vec<String>) {
    let groups = classes.div_ceil(10) + 1;
    let mut rng = key.rng(&[Draw::Synsets as u64, 0]);
    let mut numbers = vec![SYNSETS.0];
    numbers.extend(distinct(&mut rng, classes + groups - 1, (SYNSETS.0 + 1, SYNSETS.1)));
    let groups = numbers.split_off(classes);
    numbers.sort_unstable();
    let id = |number: &u64| format!("n{number:08}");
    (numbers.iter().map(id).collect(), groups.iter().map(id).collect())
}

/// `count` different numbers in `low..=high`, in the order of drawing.
fn distinct(rng: &mut ChaCha8Rng, count: usize, (low, high): (u64, u64)) -> Vec<u64> {
    let mut seen = HashSet::new();
    let mut numbers = Vec::with_capacity(count);
    while numbers.len() < count {
        let number = low + below(rng, high - low + 1);
        if seen.insert(number) {
            numbers.push(number);
        }
    }
    numbers
}
