//! Data, space and recipes small enough that a whole search takes about a second.

#![allow(dead_code, reason = "every test uses its part")]

use std::path::Path;

use cream_arch::{Architecture, ChoiceCosts, EvaluationTransform, FlopsInterval, Shape, Space};
use cream_data::shards::index::Classes;
use cream_data::shards::writer::{SplitWriter, mark_search_validation, write_index};
use cream_data::{ImageKind, Split};
use cream_train::device::open;
use cream_train::optimizer::Kind;
use cream_train::retrain::RetrainPlan;
use cream_train::search::SearchPlan;
use cream_train::settings::{Augmentation, CropKind, RetrainSettings, SearchSettings};

pub const CLASSES: u32 = 4;
pub const TRAIN_PER_CLASS: u32 = 12;
pub const VAL_PER_CLASS: u32 = 5;
pub const DEPTHS: [usize; 5] = [1; 5];
pub const SIZE: usize = 32;
/// A path of that shape, as lists.
pub const PATH: &str = "[[0],[3],[2],[1],[4]]";

/// Four classes, whose names CSV has to quote; of the 12 training images of each, 3 are for search validation.
pub fn write_shards(dir: &Path) {
    write_shards_of(dir, CLASSES);
}

/// The same with another number of classes.
pub fn write_shards_of(dir: &Path, classes: u32) {
    std::fs::create_dir_all(dir).unwrap();
    let split = |split, per_class: u32, first: u32| {
        let mut writer = SplitWriter::new(dir, split, 20_000);
        for class in 0..classes {
            for number in 0..per_class {
                let bytes = image(class, first + number);
                writer.push(&format!("i{number:02}"), class, ImageKind::Png, &bytes).unwrap();
            }
        }
        writer.finish().unwrap()
    };
    let mut train = split(Split::Train, TRAIN_PER_CLASS, 0);
    mark_search_validation(&mut train.rows, 0.25, 0);
    let val = split(Split::Validation, VAL_PER_CLASS, 1000);
    let ids = (0..classes).map(|class| format!("class {class}, \"{class}\"")).collect();
    write_index(dir, Classes { ids, names: None }, train, val, serde_json::json!({})).unwrap();
}

/// A grey 28 x 28 PNG: noise, brighter in the quarter that the class names.
fn image(class: u32, number: u32) -> Vec<u8> {
    let mut state = class * 7919 + number * 104_729 + 1;
    let pixel = |i: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let quarter = u32::from(i % 28 >= 14) + 2 * u32::from(i / 28 >= 14);
        ((state >> 25) + if quarter == class % 4 { 100 } else { 0 }) as u8
    };
    let pixels: Vec<u8> = (0..28 * 28).map(pixel).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 28, 28);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// The published space with narrow layers, as TOML.
pub fn space_toml() -> String {
    let widths = [(16, 8), (24, 8), (40, 16), (80, 16), (96, 24), (192, 32), (320, 40), (1280, 48)];
    let text = include_str!("../../../../configs/space/cream.toml").to_owned();
    widths.iter().fold(text, |text, (wide, narrow)| {
        let wide = format!("channels = {wide}\n");
        assert_eq!(text.matches(&wide).count(), 1, "{wide}");
        text.replace(&wide, &format!("channels = {narrow}\n"))
    })
}

/// That space, its networks fed with small images.
pub fn space() -> Space {
    let mut space = Space::from_toml(&space_toml()).unwrap();
    space.input.evaluation = EvaluationTransform::PadCrop;
    space
}

/// What the paths of [`DEPTHS`] cost.
pub fn costs() -> ChoiceCosts {
    space().choice_costs(&DEPTHS, SIZE, CLASSES as usize).unwrap()
}

/// An interval that leaves out the cheapest and the costliest paths.
pub fn interval() -> FlopsInterval {
    let (cheapest, costliest) = costs().range();
    let quarter = (costliest - cheapest) / 4;
    FlopsInterval { min: cheapest + quarter, max: costliest - quarter }
}

/// A network of the space.
pub fn architecture(lists: &str) -> Architecture {
    space().architecture(&lists.parse().unwrap(), SIZE, CLASSES as usize).unwrap()
}

fn augmentation() -> Augmentation {
    let transform = Some(CropKind::PadCrop);
    Augmentation { transform, shift: 3, ..Augmentation::default() }
}

/// Three epochs of four steps, the first without a board, checkpoints also in mid-epoch.
pub fn search_settings() -> SearchSettings {
    SearchSettings {
        epochs: 3,
        batch: 8,
        warmup_epochs: 1,
        board_size: 4,
        slice: 2,
        meta_interval: 2,
        meta_learning_rate: 0.1,
        learning_rate: Some(0.05),
        recalibration_batches: 2,
        checkpoint_steps: 3,
        device: "cpu".to_owned(),
        augmentation: augmentation(),
        ..SearchSettings::default()
    }
}

pub fn search_plan(settings: SearchSettings) -> SearchPlan {
    let depths = settings.depths.clone().unwrap_or(DEPTHS.to_vec());
    let min_depths = settings.min_depths.clone().unwrap_or(depths.clone());
    let shape = Shape { image_size: SIZE, depths, min_depths };
    let device = open(&settings.device, settings.precision).unwrap();
    SearchPlan { settings, space: space(), shape, interval: interval(), device }
}

/// Two epochs and one of cool-down, of six steps, with an average and everything that is drawn at random.
pub fn retrain_settings() -> RetrainSettings {
    RetrainSettings {
        optimizer: Kind::RmspropTf,
        epochs: 2,
        cooldown_epochs: 1,
        batch: 8,
        learning_rate: Some(0.01),
        warmup_epochs: 1,
        ema_decay: 0.9,
        clip_gradient: 5.0,
        checkpoint_steps: 4,
        device: "cpu".to_owned(),
        augmentation: augmentation(),
        ..RetrainSettings::default()
    }
}

pub fn retrain_plan(settings: RetrainSettings) -> RetrainPlan {
    let architecture = architecture(PATH);
    let device = open(&settings.device, settings.precision).unwrap();
    RetrainPlan { settings, architecture, init: None, teacher: None, device }
}
