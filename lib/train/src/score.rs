//! Counting right answers.

use candle_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Sums over images, from which means are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Images seen.
    pub images: u64,
    /// Images whose best class is right.
    pub top1: u64,
    /// Images whose five best classes hold the right one.
    pub top5: u64,
    /// Sum of losses.
    #[serde(deserialize_with = "number")]
    pub loss: f64,
}

/// JSON has no NaN and no infinity; the writer leaves null for them.
fn number<'de, D: serde::Deserializer<'de>>(input: D) -> std::result::Result<f64, D::Error> {
    Option::<f64>::deserialize(input).map(|number| number.unwrap_or(f64::NAN))
}

impl Tally {
    /// Counts a batch of logits `[N, classes]`, the loss being the cross-entropy with the labels.
    ///
    /// # Errors
    /// When the logits are not a matrix of as many rows as there are labels.
    pub fn add(&mut self, logits: &Tensor, labels: &[u32]) -> Result<()> {
        let rows: Vec<Vec<f64>> = logits.to_dtype(DType::F64)?.to_vec2()?;
        if rows.len() != labels.len() {
            candle_core::bail!("{} rows of logits for {} labels", rows.len(), labels.len());
        }
        for (row, &label) in rows.iter().zip(labels) {
            self.images += 1;
            let Some(&z) = row.get(label as usize) else {
                candle_core::bail!("label {label} of {} classes", row.len());
            };
            let rank = rank(row, label as usize);
            self.top1 += u64::from(rank == 0);
            self.top5 += u64::from(rank < 5);
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.loss += top + row.iter().map(|v| (v - top).exp()).sum::<f64>().ln() - z;
        }
        Ok(())
    }

    /// Adds the sums of other images.
    pub fn merge(&mut self, other: Self) {
        self.images += other.images;
        self.top1 += other.top1;
        self.top5 += other.top5;
        self.loss += other.loss;
    }

    /// Share of images whose best class is right; 0 of none.
    pub fn top1(&self) -> f64 {
        self.mean(self.top1 as f64)
    }

    /// Share of images whose five best classes hold the right one; 0 of none.
    pub fn top5(&self) -> f64 {
        self.mean(self.top5 as f64)
    }

    /// Mean loss; 0 of none.
    pub fn loss(&self) -> f64 {
        self.mean(self.loss)
    }

    fn mean(&self, sum: f64) -> f64 {
        if self.images == 0 { 0.0 } else { sum / self.images as f64 }
    }
}

/// How many classes come before `class`: those of higher logits, and of equal ones with a lower index. A
/// logit that is no number comes last.
pub fn rank(row: &[f64], class: usize) -> usize {
    let own = row[class];
    if own.is_nan() {
        return row.len();
    }
    row.iter().enumerate().filter(|&(i, &v)| v > own || (v == own && i < class)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn ranks_count_ties_once() {
        let mut tally = Tally::default();
        let logits = [[1.0, 1.0, 0.0, 0.0, 0.0, 0.0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]];
        let logits = Tensor::new(&logits, &Device::Cpu).unwrap();
        tally.add(&logits, &[1, 5]).unwrap();
        assert_eq!((tally.images, tally.top1, tally.top5), (2, 0, 1));
        tally.add(&logits, &[0, 4]).unwrap();
        assert_eq!((tally.top1, tally.top5), (1, 3));
        assert!(tally.add(&logits, &[0, 6]).is_err());
    }

    /// As a checkpoint holds it.
    #[test]
    fn a_loss_that_is_no_number_is_read_back() {
        let tally = Tally { loss: f64::INFINITY, images: 3, ..Tally::default() };
        let text = serde_json::to_string(&tally).unwrap();
        let back: Tally = serde_json::from_str(&text).unwrap();
        assert!(back.loss.is_nan() && back.images == 3);
    }

    #[test]
    fn the_loss_is_the_cross_entropy() {
        let mut tally = Tally::default();
        tally.add(&Tensor::new(&[[0.0_f64, 0.0]], &Device::Cpu).unwrap(), &[1]).unwrap();
        assert!((tally.loss() - 2.0_f64.ln()).abs() < 1e-12);
    }
}
