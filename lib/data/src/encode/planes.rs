//! JPEGs made smaller plane by plane, without becoming RGB in between.
//!
//! What is kept as planes is written as planes again. Turning them into RGB and back would only cost
//! time, and colour would be enlarged to the image's size to be halved again.

use std::panic::catch_unwind;

use libjpeg_turbo_rs::{Subsampling, compress_raw};

use super::{as_image_error, fault, fitting};
use crate::decode::{ImageKind, Planes};
use crate::error::ImageError;
use crate::transform::{Filter, ResizeScratch, resize_planes};

/// The image with these sides, (width, height), as a JPEG with chroma at half size; with luma alone
/// where there is no colour.
pub(super) fn encode_smaller(
    planes: &Planes,
    (width, height): (usize, usize),
    quality: u8,
    scratch: &mut ResizeScratch,
) -> Result<Vec<u8>, ImageError> {
    let halves = (width.div_ceil(2), height.div_ceil(2));
    let filter = Filter::Bicubic;
    let (luma, chroma) = planes.parts.split_at(1);
    let whole = (planes.height as f64, planes.width as f64);
    let mut small = std::mem::take(&mut scratch.small);
    let (small_luma, small_chroma) = small.split_at_mut(1);
    resize_planes(luma, whole, filter, (height, width), scratch, small_luma)
        .map_err(as_image_error)?;
    let extent = chroma_extent(planes, (width, height));
    resize_planes(chroma, extent, filter, (halves.1, halves.0), scratch, small_chroma)
        .map_err(as_image_error)?;
    let encoded = encode(&small, (width, height), quality);
    scratch.small = small;
    encoded
}

fn encode(
    [luma, blue, red]: &[Vec<u8>; 3],
    (width, height): (usize, usize),
    quality: u8,
) -> Result<Vec<u8>, ImageError> {
    let halves = (width.div_ceil(2), height.div_ceil(2));
    let neutral = |values: &[u8]| values.iter().all(|&value| value == 128);
    // As in decoding: a defect of the codec must cost an image, not the run.
    let encoded = catch_unwind(|| {
        if neutral(blue) && neutral(red) {
            compress_raw(&[luma], &[width], &[height], width, height, quality, Subsampling::S444)
        } else {
            let (widths, heights) = ([width, halves.0, halves.0], [height, halves.1, halves.1]);
            let all: [&[u8]; 3] = [luma, blue, red];
            compress_raw(&all, &widths, &heights, width, height, quality, Subsampling::S420)
        }
    });
    match encoded {
        Ok(Ok(bytes)) => fitting(bytes),
        Ok(Err(error)) => Err(fault(ImageKind::Jpeg, error.to_string())),
        Err(_) => Err(fault(ImageKind::Jpeg, "the encoder failed on it".to_owned())),
    }
}

/// What the written chroma covers, in the rows and columns of the chroma that was read: a little more
/// than the image where a side is odd, since the last sample stands for a pixel that is not there.
fn chroma_extent(planes: &Planes, (width, height): (usize, usize)) -> (f64, f64) {
    let along = |from: usize, step: usize, to: usize| {
        (2 * to.div_ceil(2) * from) as f64 / (step * to) as f64
    };
    let (across, down) = planes.chroma_step;
    (along(planes.height, down, height), along(planes.width, across, width))
}
