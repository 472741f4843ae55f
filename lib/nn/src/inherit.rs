//! A path's weights out of a supernet's.

use crate::NnError;
use candle_core::Tensor;
use cream_arch::Path;
use std::collections::BTreeMap;

/// The tensors of one path under the names that its network has for them: stem, head, classifier and fixed blocks, and
/// the path's own choices, whose index goes out of their names. `depths` are the supernet's.
///
/// Batch-norm statistics in a supernet mix those of all paths; training makes them the network's own.
///
/// # Errors
/// [`NnError::Path`] for a path that has more layers than the supernet.
pub fn inherited(
    tensors: &BTreeMap<String, Tensor>,
    depths: &[usize],
    path: &Path,
) -> Result<BTreeMap<String, Tensor>, NnError> {
    let fits =
        path.0.len() == depths.len() && path.0.iter().zip(depths).all(|(s, &d)| s.len() <= d);
    if !fits {
        let choices = tensors.keys().filter_map(|name| Some(place(name)?.0[2] + 1)).max();
        let (path, depths) = (path.to_string(), depths.to_vec());
        return Err(NnError::Path { path, depths, choices: choices.unwrap_or(0) });
    }
    let own = |(name, tensor): (&String, &Tensor)| {
        let Some(([stage, layer, choice], layers)) = place(name) else {
            return (!name.starts_with("meta_layer.")).then(|| (name.clone(), tensor.clone()));
        };
        // The fixed stages before and behind the searched ones have one choice.
        let searched = stage.checked_sub(1).and_then(|stage| path.0.get(stage));
        let taken = searched.map_or(Some(&0), |choices| choices.get(layer));
        (taken == Some(&choice))
            .then(|| (format!("blocks.{stage}.{layer}.{layers}"), tensor.clone()))
    };
    Ok(tensors.iter().filter_map(own).collect())
}

/// Stage, layer and choice of a block's tensor, and the rest of its name.
fn place(name: &str) -> Option<([usize; 3], &str)> {
    let mut parts = name.strip_prefix("blocks.")?.splitn(4, '.');
    let mut index = || parts.next()?.parse::<usize>().ok();
    let indices = [index()?, index()?, index()?];
    Some((indices, parts.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Statistics;
    use crate::{ChildNet, Init, Initialise, SuperNet, ToBeLoaded};
    use candle_core::{DType, Device};
    use cream_arch::{Space, Widths};

    /// Values that differ from tensor to tensor.
    struct Spread(f64);

    impl Initialise for Spread {
        fn values(&mut self, _: &str, init: Init, n: usize) -> candle_core::Result<Vec<f64>> {
            let (middle, width) = match init {
                Init::Constant(v) => (v, 0.2),
                Init::Normal(std) => (0.0, std),
                Init::Uniform(bound) => (0.0, bound),
            };
            let mut value = || {
                self.0 += 1.0;
                middle + width * (self.0 * 0.7).sin()
            };
            Ok((0..n).map(|_| value()).collect())
        }
    }

    #[test]
    fn the_network_of_a_path_answers_as_the_supernet_does() {
        let widths = Widths { stem: 8, stages: vec![8, 8, 16, 16, 24], last: 32, features: 40 };
        let space = Space::published().with_widths(&widths).unwrap();
        let depths = [1, 2, 1, 2, 1];
        let mut init = Spread(0.0);
        let supernet =
            SuperNet::new(&space, &depths, 3, &mut init, DType::F64, &Device::Cpu).unwrap();
        let mut tensors = supernet.weights().tensors();
        let meta = Tensor::zeros(1, DType::F64, &Device::Cpu).unwrap();
        tensors.insert("meta_layer.bias".to_owned(), meta);
        let images: Vec<f64> = (0..2 * 32 * 32 * 3).map(|i| (f64::from(i) * 0.3).cos()).collect();
        let images = Tensor::from_vec(images, (2, 32, 32, 3), &Device::Cpu).unwrap();
        // Of full depth, and of less.
        for path in ["[[3],[1,4],[0],[5,2],[2]]", "[[0],[5],[1],[3],[4]]"] {
            let path: Path = path.parse().unwrap();
            let own = inherited(&tensors, &depths, &path).unwrap();
            let architecture = space.architecture(&path, 32, 3).unwrap();
            let mut init = ToBeLoaded::from_tensors(&own);
            let net = ChildNet::new(&architecture, &mut init, DType::F64, &Device::Cpu).unwrap();
            net.weights().load(&own, |_| false).unwrap();
            let ours = net.forward(&images, &net.pass(Statistics::Batch)).unwrap();
            let pass = supernet.pass(Statistics::Batch);
            let theirs = supernet.forward(&images, &path, &pass).unwrap();
            let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(values(&ours), values(&theirs), "{path}");
        }
        let deeper: Path = "[[3,1],[1],[0],[5],[2]]".parse().unwrap();
        let error = inherited(&tensors, &depths, &deeper).unwrap_err().to_string();
        assert!(error.contains("[1, 2, 1, 2, 1] layers per stage with 6 choices"), "{error}");
    }
}
