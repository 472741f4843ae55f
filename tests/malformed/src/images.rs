//! Encoded images.

use cream_data::decode::{self, MAX_PIXELS};
use cream_data::transform::ResizeScratch;
use cream_data::{EvalTransform, Filter, TrainCrop, TrainInterpolation, TrainTransform};

/// Larger images are decoded but not resized: a claim of 64 Mi pixels takes a few bytes, and
/// resizing that many takes the time that finds nothing.
const RESIZED_PIXELS: usize = 1 << 20;

/// Decodes the bytes as an image, and makes a training and an evaluation input of it.
pub fn image(bytes: &[u8]) {
    let checked = decode::validate(bytes);
    let Ok(image) = decode::decode(bytes) else {
        assert!(checked.is_err(), "an image that does not decode was found valid");
        return;
    };
    if let Ok((_, same)) = checked {
        assert!(same == image, "decoded twice, it is not the same image");
    }
    let (width, height) = (image.width, image.height);
    assert!(width > 0 && height > 0 && width * height <= MAX_PIXELS, "{width} x {height}");
    assert_eq!(image.pixels.len(), width * height * 3);
    if width * height > RESIZED_PIXELS {
        return;
    }
    const SIZE: usize = 8;
    let mut out = vec![0; SIZE * SIZE * 3];
    let scratch = &mut ResizeScratch::default();
    for evaluation in [
        EvalTransform::PadCrop { image_size: SIZE },
        EvalTransform::ResizeCrop { image_size: SIZE, crop: 0.875, filter: Filter::Bicubic },
    ] {
        evaluation.apply(&image, scratch, &mut out).unwrap();
    }
    let crop = TrainCrop::ResizedCrop {
        image_size: SIZE,
        scale: (0.08, 1.0),
        ratio: (0.75, 4.0 / 3.0),
        interpolation: TrainInterpolation::Random,
    };
    let training = TrainTransform { crop, flip: 0.5, colour_jitter: 0.4, erasing: 0.2 };
    training.apply(&image, (1, 2, 3), scratch, &mut out).unwrap();
}
