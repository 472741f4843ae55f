//! A batch's own values and those of the operator for a device are the same.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

use candle_core::{DType, Device, Tensor};
use cream_data::{Batch, Erasure, Mix, SampleId};
use cream_nn::ops::images::{Erased, ImagePlan, Mixed, Rectangle, Treatment, normalise};

const SIZE: usize = 9;

fn batch(mix: Option<Mix>) -> Batch {
    let erasure = Erasure { y: 2, x: 1, height: 6, width: 7, noise: [3, u32::MAX] };
    Batch {
        index: 0,
        samples: (0..3).map(SampleId::from_index).collect(),
        labels: vec![0, 1, 2],
        image_size: SIZE,
        pixels: (0..3 * SIZE * SIZE * 3).map(|i| (i * 29 % 256) as u8).collect::<Vec<u8>>().into(),
        erasures: vec![None, Some(erasure), None],
        mix,
    }
}

#[test]
fn a_batch_and_the_operator_agree() {
    let (mean, std) = ([0.5_f32, 0.4, 0.3], [0.2_f32, 0.3, 0.25]);
    let mixes = [
        (None, None),
        (Some(Mix::Blend { share: 0.3 }), Some(Mixed::Blend { share: 0.3 })),
        (
            Some(Mix::Exchange { y: 1, x: 2, height: 5, width: 4 }),
            Some(Mixed::Exchange(Rectangle { y: 1, x: 2, height: 5, width: 4 })),
        ),
    ];
    for (mix, mixed) in mixes {
        let batch = batch(mix);
        let treatment = |erasure: &Option<Erasure>| {
            let erased = erasure.map(|Erasure { y, x, height, width, noise }| {
                let rectangle = Rectangle { y, x, height, width };
                Erased { rectangle, key: noise }
            });
            Treatment { mirrored: false, erased }
        };
        let treatments: Vec<Treatment> = batch.erasures.iter().map(treatment).collect();
        let plan = ImagePlan {
            mean: mean.map(f64::from),
            std: std.map(f64::from),
            treatments: &treatments,
            mixed,
        };
        let shape = (batch.len(), SIZE, SIZE, 3);
        let pixels = Tensor::from_slice(&batch.pixels, shape, &Device::Cpu).unwrap();
        let values = normalise(&pixels, &plan, DType::F32).unwrap();
        let values = values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (place, (own, other)) in batch.normalise(mean, std).iter().zip(&values).enumerate() {
            assert!((own - other).abs() <= 2e-6, "{mix:?}: {own} and {other} at {place}");
        }
    }
}
