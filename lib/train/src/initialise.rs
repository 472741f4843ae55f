//! Starting values of a network, drawn by (seed, tensor name).

use candle_core::Result;
use cream_data::keyed::{Key, Purpose, between, normal};
use cream_nn::{Init, Initialise};

/// Draws every tensor from its own generator, so that a layer starts the same whatever surrounds it.
#[derive(Clone, Copy, Debug)]
pub struct KeyedInitialisation {
    key: Key,
}

impl KeyedInitialisation {
    /// The starting values of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { key: Key::new(seed, Purpose::Initialisation) }
    }
}

impl Initialise for KeyedInitialisation {
    fn values(&mut self, name: &str, init: Init, n: usize) -> Result<Vec<f64>> {
        let mut rng = self.key.rng(&[name_key(name), 0]);
        Ok(match init {
            Init::Normal(std) => (0..n).map(|_| normal(&mut rng) * std).collect(),
            Init::Uniform(bound) => (0..n).map(|_| between(&mut rng, -bound, bound)).collect(),
            Init::Constant(value) => vec![value; n],
        })
    }
}

/// FNV-1a over the name (Fowler, Noll, Vo): a fixed number for every tensor.
fn name_key(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_depend_on_seed_and_name_and_have_the_right_spread() {
        let mut init = KeyedInitialisation::new(1);
        let values = init.values("a.weight", Init::Normal(0.5), 20_000).unwrap();
        assert_eq!(values, init.values("a.weight", Init::Normal(0.5), 20_000).unwrap());
        assert_ne!(values[0], init.values("b.weight", Init::Normal(0.5), 1).unwrap()[0]);
        assert_ne!(
            values[0],
            KeyedInitialisation::new(2).values("a.weight", Init::Normal(0.5), 1).unwrap()[0]
        );
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
        assert!(mean.abs() < 0.015 && (std - 0.5).abs() < 0.015, "{mean} {std}");
        let uniform = init.values("c.weight", Init::Uniform(0.25), 5000).unwrap();
        assert!(uniform.iter().all(|v| v.abs() <= 0.25) && uniform.iter().any(|v| v.abs() > 0.24));
    }
}
