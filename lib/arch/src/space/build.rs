//! From index lists to paths, from paths to architectures and back.

use std::fmt::Debug;

use super::Space;
use crate::{
    ArchError, Architecture, Block, FormatTag, Path, Reading,
    architecture::validation::{MAX_LAYERS, within},
};

impl Space {
    /// A path from index lists: one list per searched stage, or those with `[0]` first and last as
    /// the original release prints them, for the fixed stages.
    pub fn path_from_lists(&self, lists: &Path, reading: Reading) -> Result<Path, ArchError> {
        let wrong = |reason: String| ArchError::Path { path: brief(lists), reason };
        let searched = self.stages.len();
        let mut stages = lists.0.clone();
        if stages.len() == searched + 2 {
            if stages[0] != [0] || stages[searched + 1] != [0] {
                let reason = format!("of {} lists the first and last must be [0]", searched + 2);
                return Err(wrong(reason));
            }
            stages = stages[1..=searched].to_vec();
        }
        if reading == Reading::Released {
            for (choices, stage) in stages.iter_mut().zip(&self.stages) {
                if choices.len() == 1 {
                    choices[0] = stage.released_choice.ok_or_else(|| {
                        wrong(format!("the space {} has no released reading", self.name))
                    })?;
                }
            }
        }
        let path = Path(stages);
        self.check_path(&path)?;
        Ok(path)
    }

    /// Refuses a path with the wrong number of stages, an empty or overlong stage, or an index that
    /// is no choice.
    pub fn check_path(&self, path: &Path) -> Result<(), ArchError> {
        let wrong = |reason: String| Err(ArchError::Path { path: brief(path), reason });
        let (searched, choices) = (self.stages.len(), self.choices.len());
        if path.0.len() != searched {
            let (found, name) = (path.0.len(), &self.name);
            return wrong(format!(
                "{found} lists; the space {name} has {searched} searched stages"
            ));
        }
        for (layers, stage) in path.0.iter().zip(1..) {
            let found = layers.len();
            if !(1..=MAX_LAYERS).contains(&found) {
                return wrong(format!(
                    "stage {stage} has {found} layers; allowed: 1 to {MAX_LAYERS}"
                ));
            }
            if let Some(index) = layers.iter().find(|&&index| index >= choices) {
                let last = choices - 1;
                return wrong(format!("stage {stage} has choice {index}; allowed: 0 to {last}"));
            }
        }
        Ok(())
    }

    /// Checks layers per searched stage.
    pub fn check_depths(&self, depths: &[usize]) -> Result<(), ArchError> {
        let stages = self.stages.len();
        within("depths (their number)", depths.len(), stages, stages)?;
        for (stage, &layers) in depths.iter().enumerate() {
            within(format_args!("depths[{stage}]"), layers, 1, MAX_LAYERS / 10)?;
        }
        Ok(())
    }

    /// The network that a path makes.
    pub fn architecture(
        &self,
        path: &Path,
        image_size: usize,
        num_classes: usize,
    ) -> Result<Architecture, ArchError> {
        self.check_path(path)?;
        let mut stages = vec![vec![self.first_block()]];
        stages.extend(path.0.iter().enumerate().map(|(stage, choices)| {
            let layers = choices.iter().enumerate();
            layers.map(|(layer, &choice)| self.block(stage, layer, choice)).collect()
        }));
        stages.push(vec![self.last_block()]);
        let architecture = Architecture {
            format: FormatTag::Architecture,
            version: 1,
            name: None,
            image_size,
            num_classes,
            input: self.input.clone(),
            padding: self.padding,
            norm: self.norm,
            stem: self.stem,
            stages,
            head: self.head,
            provenance: None,
        };
        architecture.validate()?;
        Ok(architecture)
    }

    /// The path that makes this network: every block must be one of the space's choices and all
    /// that is fixed must agree. The input's normalisation and crop are not part of the space's
    /// weights and may differ.
    pub fn path_of(&self, architecture: &Architecture) -> Result<Path, ArchError> {
        let searched = self.stages.len();
        let stages = &architecture.stages;
        self.agree("stages (their number)", &(searched + 2), &stages.len())?;
        let mut path = Vec::with_capacity(searched);
        for (stage, blocks) in stages[1..=searched].iter().enumerate() {
            let layers = blocks.iter().enumerate();
            let choices = layers.map(|(layer, block)| self.choice_of(stage, layer, block));
            path.push(choices.collect::<Result<Vec<usize>, ArchError>>()?);
        }
        self.agree("stem", &self.stem, &architecture.stem)?;
        self.agree("padding", &self.padding, &architecture.padding)?;
        self.agree("norm", &self.norm, &architecture.norm)?;
        self.agree("head", &self.head, &architecture.head)?;
        self.agree("stages[0]", &vec![self.first_block()], &stages[0])?;
        let last = searched + 1;
        self.agree(&format!("stages[{last}]"), &vec![self.last_block()], &stages[last])?;
        let path = Path(path);
        self.check_path(&path)?;
        Ok(path)
    }

    fn choice_of(&self, stage: usize, layer: usize, block: &Block) -> Result<usize, ArchError> {
        let matches = |&choice: &usize| self.block(stage, layer, choice) == *block;
        (0..self.choices.len()).find(matches).ok_or_else(|| ArchError::NotInSpace {
            location: format!("stages[{}][{layer}]", stage + 1),
            space: self.name.clone(),
            expected: format!("{} choices of which it is none", self.choices.len()),
            found: serde_json::to_string(block).unwrap_or_default(),
        })
    }

    fn agree<T: PartialEq + Debug>(&self, at: &str, ours: &T, theirs: &T) -> Result<(), ArchError> {
        if ours == theirs {
            return Ok(());
        }
        Err(ArchError::NotInSpace {
            location: at.to_owned(),
            space: self.name.clone(),
            expected: format!("{ours:?}"),
            found: format!("{theirs:?}"),
        })
    }
}

/// Enough of a path to recognise it in an error.
fn brief(path: &Path) -> String {
    path.to_string().chars().take(200).collect()
}
