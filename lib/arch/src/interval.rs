//! Input size and layers per stage from a FLOPs interval.

use serde::{Deserialize, Serialize};

use crate::{ArchError, ChoiceCosts, Path, Space};

/// Limits on FLOPs as published, both included, as raw counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlopsInterval {
    /// Least FLOPs; 0 for no limit.
    #[serde(rename = "flops_min")]
    pub min: u64,
    /// Most FLOPs; `u64::MAX`, which files write as null, for no limit.
    #[serde(rename = "flops_max", with = "unlimited")]
    pub max: u64,
}

/// `u64::MAX` as null.
mod unlimited {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(max: &u64, to: S) -> Result<S::Ok, S::Error> {
        Some(*max).filter(|&max| max != u64::MAX).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(u64::MAX))
    }
}

/// What a supernet is trained at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Side of the square input in pixels.
    pub image_size: usize,
    /// Layers per searched stage.
    pub depths: Vec<usize>,
    /// Layers per searched stage that a path has at least.
    pub min_depths: Vec<usize>,
}

/// What of a shape is given, the rest following from limits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenShape {
    /// Side of the square input in pixels.
    pub image_size: Option<usize>,
    /// Layers per searched stage.
    pub depths: Option<Vec<usize>>,
    /// Layers per searched stage that a path has at least; all of them unless given.
    pub min_depths: Option<Vec<usize>>,
}

impl Shape {
    /// A shape whose paths all have every layer.
    pub fn fixed(image_size: usize, depths: Vec<usize>) -> Self {
        Self { image_size, min_depths: depths.clone(), depths }
    }

    /// Whether paths may have fewer layers than the supernet.
    pub fn is_elastic(&self) -> bool {
        self.min_depths != self.depths
    }

    /// Whether a path has a number of layers in each stage that this shape allows.
    pub fn holds(&self, path: &Path) -> bool {
        let bounds = self.min_depths.iter().zip(&self.depths);
        path.0.len() == self.depths.len()
            && path.0.iter().zip(bounds).all(|(s, (&min, &max))| (min..=max).contains(&s.len()))
    }
}

impl FlopsInterval {
    /// Everything.
    pub const ALL: Self = Self { min: 0, max: u64::MAX };

    /// From limits in millions, as flags state them; an absent one does not bind.
    pub fn from_millions(min: Option<f64>, max: Option<f64>) -> Result<Self, ArchError> {
        let raw = |at: &str, millions: f64| {
            // 2^53 raw: beyond it a double no longer states every count.
            if (0.0..=9e9).contains(&millions) {
                return Ok((millions * 1e6).round() as u64);
            }
            Err(ArchError::number(at, millions, "0 to 9e9 (millions)"))
        };
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            let allowed = format!("at most flops_max, {max} (millions)");
            return Err(ArchError::number("flops_min", min, &allowed));
        }
        let min = min.map_or(Ok(0), |millions| raw("flops_min", millions))?;
        let max = max.map_or(Ok(u64::MAX), |millions| raw("flops_max", millions))?;
        Self { min, max }.validate()
    }

    /// Refuses an interval whose ends are the wrong way round.
    pub fn validate(self) -> Result<Self, ArchError> {
        if self.min > self.max {
            let allowed = format!("at most the upper limit, {}", self.max);
            return Err(ArchError::value("flops_min", self.min, allowed));
        }
        Ok(self)
    }

    /// Whether a count lies inside.
    pub fn contains(&self, flops: u64) -> bool {
        (self.min..=self.max).contains(&flops)
    }
}

impl Space {
    /// The largest of the space's sizes at which the mean network of `growth.start` layers fits
    /// below the upper limit, then layers added in `growth.order` while the mean still fits. A size
    /// or layers that are given are kept. Where nothing fits on average, the given or smallest size
    /// with the starting layers.
    ///
    /// # Errors
    /// If no path of the chosen shape costs between the limits, with the range that they do cost.
    pub fn shape(
        &self,
        interval: FlopsInterval,
        given: &GivenShape,
        num_classes: usize,
    ) -> Result<Shape, ArchError> {
        let interval = interval.validate()?;
        let start = given.depths.as_deref().unwrap_or(&self.growth.start);
        let image_size = match given.image_size {
            Some(size) => size,
            None => self.largest_size(interval.max, start, num_classes)?,
        };
        let depths = match &given.depths {
            Some(depths) => depths.clone(),
            None => self.grow(interval.max, image_size, num_classes)?,
        };
        let min_depths = given.min_depths.clone().unwrap_or_else(|| depths.clone());
        let shape = Shape { image_size, depths, min_depths };
        let (cheapest, costliest) = self.reachable(&shape, num_classes)?;
        if cheapest > interval.max || costliest < interval.min {
            let FlopsInterval { min, max } = interval;
            let Shape { depths, .. } = shape;
            return Err(ArchError::EmptyInterval {
                min,
                max,
                image_size,
                depths,
                cheapest,
                costliest,
            });
        }
        Ok(shape)
    }

    /// FLOPs as published of the cheapest and of the costliest path of a shape.
    ///
    /// # Errors
    /// When the shape does not fit the space.
    pub fn reachable(&self, shape: &Shape, num_classes: usize) -> Result<(u64, u64), ArchError> {
        self.check_shape(shape)?;
        let range = |depths| Ok(self.choice_costs(depths, shape.image_size, num_classes)?.range());
        let (cheapest, _): (u64, u64) = range(&shape.min_depths)?;
        range(&shape.depths).map(|(_, costliest)| (cheapest, costliest))
    }

    /// Checks layers per searched stage, most and least.
    ///
    /// # Errors
    /// Names what is too few or too many.
    pub fn check_shape(&self, shape: &Shape) -> Result<(), ArchError> {
        let Shape { depths, min_depths, .. } = shape;
        self.check_depths(depths)?;
        if min_depths.len() != depths.len() {
            let allowed = format!("{} numbers, one per searched stage", depths.len());
            return Err(ArchError::value("min_depths", format!("{min_depths:?}"), allowed));
        }
        for (stage, (&least, &most)) in min_depths.iter().zip(depths).enumerate() {
            if !(1..=most).contains(&least) {
                let at = format!("min_depths[{stage}]");
                return Err(ArchError::value(&at, least, format!("1 to {most}, the most layers")));
            }
        }
        Ok(())
    }

    fn largest_size(&self, max: u64, depths: &[usize], classes: usize) -> Result<usize, ArchError> {
        let mut last = 0;
        for &size in &self.growth.sizes {
            last = size;
            if mean_fits(&self.choice_costs(depths, size, classes)?, max) {
                break;
            }
        }
        Ok(last)
    }

    fn grow(&self, max: u64, size: usize, classes: usize) -> Result<Vec<usize>, ArchError> {
        let mut depths = self.growth.start.clone();
        let mut all = all_choices(&self.choice_costs(&depths, size, classes)?);
        let most = u128::from(max) * self.choices.len() as u128;
        let layer = |stage| self.later_layer_flops(stage, size).into_iter().map(u128::from).sum();
        let layers: Vec<u128> = (0..depths.len()).map(layer).collect();
        loop {
            let before = depths.clone();
            for stage in self.growth.order.iter().map(|stage| stage - 1) {
                let fits = all + layers[stage] <= most;
                if fits && depths[stage] < self.stages[stage].max_layers {
                    depths[stage] += 1;
                    all += layers[stage];
                }
            }
            if depths == before {
                return Ok(depths);
            }
        }
    }
}

/// Whether the mean over all paths is at most `max`, in whole numbers.
fn mean_fits(costs: &ChoiceCosts, max: u64) -> bool {
    let choices = costs.layers().next().map_or(1, Vec::len);
    all_choices(costs) <= u128::from(max) * choices as u128
}

/// The mean over all paths times the number of choices: every layer has as many.
fn all_choices(costs: &ChoiceCosts) -> u128 {
    let choices = costs.layers().next().map_or(1, Vec::len);
    let searched: u128 = costs.layers().flatten().map(|&flops| u128::from(flops)).sum();
    u128::from(costs.fixed) * choices as u128 + searched
}
