//! The rules that a space keeps.

use super::Space;
use crate::{
    ArchError, Path,
    architecture::validation::{MAX_LAYERS, within},
    header,
};

const MAX_CHOICES: usize = 64;
const MAX_STAGES: usize = 64;

impl Space {
    /// Checks the space's own lists, then that networks of one layer and of `growth.start` layers
    /// per stage are valid with each choice at each size.
    pub(crate) fn validate(&self) -> Result<(), ArchError> {
        header::SPACE.check(self.version)?;
        if self.name.is_empty() || self.name.len() > 100 {
            let found = format!("a text of {} bytes", self.name.len());
            return Err(ArchError::value("name", found, "1 to 100 bytes"));
        }
        within("choices (their number)", self.choices.len(), 1, MAX_CHOICES)?;
        within("stages (their number)", self.stages.len(), 1, MAX_STAGES)?;
        for (s, stage) in self.stages.iter().enumerate() {
            within(format_args!("stages[{s}].max_layers"), stage.max_layers, 1, MAX_LAYERS / 10)?;
            if let Some(choice) = stage.released_choice {
                let at = format!("stages[{s}].released_choice");
                within(&at, choice, 0, self.choices.len() - 1)?;
            }
        }
        if let Some(rule) = self.squeeze_excite
            && !(rule.ratio > 0.0 && rule.ratio <= 8.0)
        {
            return Err(ArchError::number(
                "squeeze_excite.ratio",
                rule.ratio,
                "above 0, at most 8",
            ));
        }
        self.validate_growth()?;
        self.validate_networks()
    }

    fn validate_growth(&self) -> Result<(), ArchError> {
        let growth = &self.growth;
        let stages = self.stages.len();
        within("growth.sizes (their number)", growth.sizes.len(), 1, 100)?;
        if !growth.sizes.is_sorted_by(|a, b| a > b) {
            let found = format!("{:?}", growth.sizes);
            return Err(ArchError::value("growth.sizes", found, "sizes in falling order"));
        }
        within("growth.start (its stages)", growth.start.len(), stages, stages)?;
        for (s, (&layers, stage)) in growth.start.iter().zip(&self.stages).enumerate() {
            within(format_args!("growth.start[{s}]"), layers, 1, stage.max_layers)?;
        }
        within("growth.order (its stages)", growth.order.len(), 0, 1000)?;
        for (i, &stage) in growth.order.iter().enumerate() {
            within(format_args!("growth.order[{i}]"), stage, 1, stages)?;
        }
        Ok(())
    }

    /// Builds real networks, so that the limits of architectures hold for spaces too. Between the
    /// largest and the smallest size nothing else can be wrong: one is the costliest, the other has
    /// the least room for strides.
    fn validate_networks(&self) -> Result<(), ArchError> {
        let sizes = [self.growth.sizes.first(), self.growth.sizes.last()];
        for choice in 0..self.choices.len() {
            let expansion = self.choices[choice].expansion;
            if !(expansion > 0.0 && expansion <= 64.0) {
                let at = format!("choices[{choice}].expansion");
                return Err(ArchError::number(at, expansion, "above 0, at most 64"));
            }
            for depths in [vec![1; self.stages.len()], self.growth.start.clone()] {
                let path = Path(depths.iter().map(|&layers| vec![choice; layers]).collect());
                for &size in sizes.into_iter().flatten() {
                    self.architecture(&path, size, 1)?;
                }
            }
        }
        Ok(())
    }
}
