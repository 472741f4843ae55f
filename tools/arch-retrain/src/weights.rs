//! Weights that a training starts from, and a teacher's.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow};
use candle_core::Tensor;
use cream_arch::{Architecture, Space};
use cream_cli::{Failure, OrFail};
use cream_nn::pytorch::Which;
use cream_nn::{Contents, SupernetDescription, TensorFile, inherited, rename_foreign};
use cream_train::distillation::TeacherPlan;
use cream_train::tensor_files;

use crate::failure;

/// A file of weights that was named on the command line.
pub struct Given {
    what: String,
    file: TensorFile,
    contents: Contents,
}

impl Given {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let what = path.display().to_string();
        let (file, _) = tensor_files::read_weights(path, Which::Either).map_err(failure)?;
        let contents = file.contents().with_context(|| what.clone()).or_input()?;
        Ok(Self { what, file, contents })
    }

    /// The network that the file says it is for.
    pub fn architecture(&self) -> Option<&Architecture> {
        match &self.contents {
            Contents::Weights(own) => Some(&own.architecture),
            _ => None,
        }
    }

    /// What `architecture` starts from: weights of ours, another program's, or its path's in a supernet.
    pub fn initial(self, architecture: &Architecture) -> Result<BTreeMap<String, Tensor>, Failure> {
        let Self { what, file, contents } = self;
        let tensors = match contents {
            Contents::Supernet(own) => of_path(&file.tensors, &own, architecture),
            contents => weights(file, &contents, architecture),
        };
        tensors.context(what).or_input()
    }

    /// The network with these weights as a teacher; `architecture` comes before what the file says.
    pub fn teacher(self, architecture: Option<Architecture>) -> Result<TeacherPlan, Failure> {
        let own = self.architecture().cloned();
        let Self { what, file, contents } = self;
        let named = architecture.or(own).ok_or_else(|| {
            anyhow!(
                "does not say what network it is for; give its architecture with --teacher-arch"
            )
        });
        let plan = || -> anyhow::Result<TeacherPlan> {
            check(&contents)?;
            let architecture = named?;
            let tensors = weights(file, &contents, &architecture)?;
            Ok(TeacherPlan { architecture, tensors })
        };
        plan().context(what).or_input()
    }
}

/// Refuses what holds no weights of one network.
fn check(contents: &Contents) -> anyhow::Result<()> {
    let wrong = match contents {
        Contents::Weights(_) | Contents::Foreign => return Ok(()),
        Contents::Checkpoint(_) => "is a checkpoint".to_owned(),
        Contents::Supernet(_) => "is a supernet".to_owned(),
        Contents::Output(format) => format!("holds {format}, not weights"),
    };
    Err(anyhow!("{wrong}; give the model.safetensors of a finished run"))
}

fn weights(
    file: TensorFile,
    contents: &Contents,
    architecture: &Architecture,
) -> anyhow::Result<BTreeMap<String, Tensor>> {
    check(contents)?;
    match contents {
        Contents::Foreign => Ok(rename_foreign(file.tensors, architecture)?),
        _ => Ok(file.tensors),
    }
}

fn of_path(
    tensors: &BTreeMap<String, Tensor>,
    own: &SupernetDescription,
    architecture: &Architecture,
) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let space = Space::from_json(&own.space.to_string()).context("its description: space")?;
    let path = space.path_of(architecture).context("the network is no path of this supernet")?;
    Ok(inherited(tensors, &own.depths, &path)?)
}
