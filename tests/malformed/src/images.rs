//! Encoded images.

use cream_data::decode::Reduction;
use cream_data::decode::{self, MAX_PIXELS};
use cream_data::transform::{ResizeScratch, Window};
use cream_data::{
    Encoded, EvalTransform, Filter, RandAugment, RgbImage, TrainCrop, TrainInterpolation,
    TrainTransform,
};

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
    let training = TrainTransform {
        crop,
        flip: 0.5,
        rand_augment: Some(RandAugment::default()),
        colour_jitter: 0.4,
        erasing: 0.2,
        mixing: None,
    };
    training.apply(&image, (1, 2, 3), scratch, &mut out).unwrap();
    let encoded = || Encoded::open(bytes).unwrap();
    training.apply_encoded(encoded(), (1, 2, 3), scratch, &mut out).unwrap();
    windows(&image, encoded);
}

/// Parts of the image are the whole's pixels, and at every size lie inside what was decoded.
fn windows<'a>(whole: &RgbImage, encoded: impl Fn() -> Encoded<'a>) {
    let mut part = RgbImage::default();
    let third = |side: usize| (side / 3, side.div_ceil(3));
    let ((top, height), (left, width)) = (third(whole.height), third(whole.width));
    let window = Window { top, left, height, width };
    for reduction in [Reduction::Full, Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
        let area = encoded().decode_window(window, reduction, &mut part).unwrap();
        assert_eq!(part.pixels.len(), part.width * part.height * 3);
        assert!(area.left >= 0.0 && area.left + area.width <= part.width as f64);
        assert!(area.top >= 0.0 && area.top + area.height <= part.height as f64);
        if reduction == Reduction::Full {
            let (from, to) = ((top * whole.width + left) * 3, area.top as usize * part.width);
            let to = (to + area.left as usize) * 3;
            assert_eq!(part.pixels[to..to + width * 3], whole.pixels[from..from + width * 3]);
        }
    }
}
