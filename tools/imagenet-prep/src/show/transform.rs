//! What the settings mean to the loader, as the trainers read them.

use cream_cli::{Failure, OrFail};
use cream_data::{
    EvalTransform, Filter, Mixing, RandAugment, Split, TrainCrop, TrainInterpolation,
    TrainTransform, Transform,
};

use crate::args::{Augment, CropKind, ShowSettings};

/// Side of the images unless given.
const IMAGE_SIZE: usize = 224;

/// The transform of a split's images; those of the validation splits are cut as for evaluation, whatever a
/// recipe says of training.
///
/// # Errors
/// [`Failure::Input`] for a setting outside its range.
pub fn of(settings: &ShowSettings, split: Split) -> Result<Transform, Failure> {
    let mixing = mixing(settings);
    let augment = match split {
        Split::Train => settings.augment.unwrap_or(Augment::Full),
        Split::SearchTrain => settings.augment.unwrap_or(Augment::Basic),
        Split::SearchValidation | Split::Validation => {
            let transform = Transform::Eval(evaluation(settings));
            transform.check().or_input()?;
            return Ok(transform);
        }
    };
    if augment == Augment::None && mixing.is_some() {
        return Err(Failure::input(
            "mixup and cutmix need augmentation; give augment = \"basic\" or \"full\"",
        ));
    }
    let transform = match augment {
        Augment::None => Transform::Eval(evaluation(settings)),
        _ => Transform::Train(training(settings, split, augment, mixing)),
    };
    transform.check().or_input()?;
    Ok(transform)
}

/// How batches are mixed, if they are.
fn mixing(settings: &ShowSettings) -> Option<Mixing> {
    let ShowSettings { mixup, cutmix, .. } = *settings;
    (mixup != 0.0 || cutmix != 0.0).then(|| Mixing { mixup, cutmix, ..Mixing::default() })
}

fn evaluation(settings: &ShowSettings) -> EvalTransform {
    let image_size = settings.image_size.unwrap_or(IMAGE_SIZE);
    match settings.transform {
        Some(CropKind::PadCrop) => EvalTransform::PadCrop { image_size },
        _ => EvalTransform::ResizeCrop { image_size, crop: 0.875, filter: Filter::Bicubic },
    }
}

fn training(
    settings: &ShowSettings,
    split: Split,
    augment: Augment,
    mixing: Option<Mixing>,
) -> TrainTransform {
    let image_size = settings.image_size.unwrap_or(IMAGE_SIZE);
    let ShowSettings { scale: [low, high], shift, flip, erasing, .. } = *settings;
    let crop = match settings.transform {
        Some(CropKind::PadCrop) => TrainCrop::PadCrop { image_size, shift },
        _ => TrainCrop::ResizedCrop {
            image_size,
            scale: (low, high),
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            interpolation: TrainInterpolation::Random,
        },
    };
    let searches = split == Split::SearchTrain;
    let colour_jitter = settings.colour_jitter.unwrap_or(if searches { 0.4 } else { 0.0 });
    let rand_augment = (augment == Augment::Full).then(|| RandAugment {
        operations: settings.rand_operations,
        magnitude: settings.rand_magnitude,
        ..RandAugment::default()
    });
    TrainTransform { crop, flip, rand_augment, colour_jitter, erasing, mixing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cream_cli::config::resolve_part;
    use std::path::Path;

    /// The settings of a recipe that is shipped.
    fn recipe(name: &str) -> ShowSettings {
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
        resolve_part(None::<()>, Some(&configs.join(name))).unwrap().settings
    }

    #[test]
    fn the_defaults_are_those_of_the_published_recipes() {
        let search = recipe("search/imagenet.toml");
        let retrain = recipe("retrain/287.toml");
        let none = ShowSettings::default();
        for (settings, split) in [(search, Split::SearchTrain), (retrain, Split::Train)] {
            // Said there, not left to a default.
            assert!(settings.augment.is_some() && settings.colour_jitter.is_some());
            assert_eq!(of(&settings, split).unwrap(), of(&none, split).unwrap(), "{split}");
        }
    }

    #[test]
    fn what_a_recipe_says_is_what_is_done() {
        let sample = recipe("search/sample.toml");
        assert_eq!((sample.image_size, sample.batch, sample.seed), (Some(32), 64, 0));
        let Transform::Train(transform) = of(&sample, Split::SearchTrain).unwrap() else {
            panic!("not augmented")
        };
        assert_eq!(transform.crop, TrainCrop::PadCrop { image_size: 32, shift: 3 });
        assert_eq!((transform.colour_jitter, transform.erasing), (0.0, 0.0));
        assert_eq!(transform.rand_augment, None);
        let wanted = Transform::Eval(EvalTransform::PadCrop { image_size: 32 });
        assert_eq!(of(&sample, Split::Validation).unwrap(), wanted);
    }
}
