//! What the tables know without looking at an image.

use cream_data::{DataError, ShardSet, Split};

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub min: u64,
    /// Of an even number of values, the mean of the two in the middle.
    pub median: f64,
    pub max: u64,
}

impl Spread {
    /// Of no values, nothing.
    pub fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let (&min, &max) = (values.first()?, values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { min, median: (low as f64 + high as f64) / 2.0, max })
    }
}

/// A split's images by number, class and bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    pub images: usize,
    /// How many of them are marked to rank paths with.
    pub search_validation: usize,
    /// Images of a class, over all classes of the set.
    pub per_class: Spread,
    /// The first class that has the fewest.
    pub smallest: usize,
    /// The first class that has the most.
    pub largest: usize,
    /// Bytes of all encoded images.
    pub bytes: u64,
    /// Bytes of an encoded image; nothing without images.
    pub per_image: Option<Spread>,
}

impl Counts {
    /// Counts one split.
    ///
    /// # Errors
    /// [`DataError`] that no set gives which could be opened.
    pub fn of(set: &ShardSet, split: Split) -> Result<Self, DataError> {
        let samples = set.samples(split);
        let mut classes = vec![0; set.num_classes()];
        let mut bytes = Vec::with_capacity(samples.len());
        for &sample in &samples {
            classes[set.label(sample)? as usize] += 1;
            bytes.push(u64::from(set.bytes(sample)?));
        }
        let none = Spread { min: 0, median: 0.0, max: 0 };
        let per_class = Spread::of(classes.clone()).unwrap_or(none);
        let first = |wanted| classes.iter().position(|&count| count == wanted).unwrap_or(0);
        Ok(Self {
            images: samples.len(),
            search_validation: match split {
                Split::Train | Split::SearchValidation => set.len(Split::SearchValidation),
                Split::SearchTrain | Split::Validation => 0,
            },
            smallest: first(per_class.min),
            largest: first(per_class.max),
            per_class,
            bytes: bytes.iter().sum(),
            per_image: Spread::of(bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = |values: &[u64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7]), Some(Spread { min: 7, median: 7.0, max: 7 }));
        assert_eq!(spread(&[9, 1, 4]), Some(Spread { min: 1, median: 4.0, max: 9 }));
        assert_eq!(spread(&[9, 1, 4, 5]), Some(Spread { min: 1, median: 4.5, max: 9 }));
    }
}
