//! Operations on tones in the arithmetic of Pillow's `ImageOps`: each value, or each channel's
//! distribution of values, by itself. Sharpness, which looks at neighbours, is here too.
//!
//! Pixels are `[height, width, 3]`.

use super::colour::blend;

/// Stretches each channel so that its darkest value becomes 0 and its brightest 255.
pub fn auto_contrast(pixels: &mut [u8]) {
    per_channel(pixels, |counts| {
        let low = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        let stretch = 255.0 / (high.saturating_sub(low).max(1)) as f64;
        let offset = -(low as f64) * stretch;
        std::array::from_fn(|value| {
            if high <= low { value as u8 } else { (value as f64 * stretch + offset) as u8 }
        })
    });
}

/// Makes each channel's values about equally frequent.
pub fn equalize(pixels: &mut [u8]) {
    per_channel(pixels, |counts| {
        let total: u32 = counts.iter().sum();
        let last = counts.iter().rfind(|&&count| count > 0).copied().unwrap_or(0);
        let step = (total - last) / 255;
        let mut seen = step / 2;
        std::array::from_fn(|value| {
            let level = seen.checked_div(step).map_or(value as u32, |level| level.min(255));
            seen += counts[value];
            level as u8
        })
    });
}

/// The negative.
pub fn invert(pixels: &mut [u8]) {
    pixels.iter_mut().for_each(|value| *value = 255 - *value);
}

/// Keeps the highest `bits` of each value, 0 to 8.
pub fn posterize(pixels: &mut [u8], bits: u32) {
    let mask = u8::MAX.checked_shl(8_u32.saturating_sub(bits)).unwrap_or(0);
    pixels.iter_mut().for_each(|value| *value &= mask);
}

/// Inverts the values from `threshold` up; 256 changes nothing.
pub fn solarize(pixels: &mut [u8], threshold: u32) {
    for value in pixels {
        if u32::from(*value) >= threshold {
            *value = 255 - *value;
        }
    }
}

/// Adds to the values below 128.
pub fn solarize_add(pixels: &mut [u8], addend: u8) {
    for value in pixels {
        if *value < 128 {
            *value = value.saturating_add(addend);
        }
    }
}

/// Scales sharpness: 0 is a smoothed image, 1 the image. `pixels` are `[rows, width, 3]`; `copy` is
/// memory to use again.
pub fn sharpness(pixels: &mut [u8], width: usize, factor: f32, copy: &mut Vec<u8>) {
    let row = width * 3;
    if width < 3 || pixels.len() < 3 * row {
        // Edges are not smoothed, and here is nothing else.
        return;
    }
    copy.clear();
    copy.extend_from_slice(pixels);
    for (rows, out) in copy.windows(3 * row).step_by(row).zip(pixels[row..].chunks_exact_mut(row)) {
        let (above, rest) = rows.split_at(row);
        let (here, below) = rest.split_at(row);
        let three = |line: &[u8], at: usize| {
            u32::from(line[at - 3]) + u32::from(line[at]) + u32::from(line[at + 3])
        };
        for at in 3..row - 3 {
            let sum = three(above, at) + three(here, at) + three(below, at);
            let centre = here[at];
            // Weights 1 around 5, divided by 13 and rounded.
            let smooth = (2 * (sum + 4 * u32::from(centre)) + 13) / 26;
            out[at] = blend(smooth as u8, centre, factor);
        }
    }
}

/// Looks every channel's values up in what `table` makes of how often each occurs.
fn per_channel(pixels: &mut [u8], table: impl Fn(&[u32; 256]) -> [u8; 256]) {
    let (pixels, _) = pixels.as_chunks_mut::<3>();
    let mut counts = [[0_u32; 256]; 3];
    for pixel in pixels.iter() {
        for (counts, value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(*value)] += 1;
        }
    }
    let tables = counts.each_ref().map(table);
    for pixel in pixels {
        for (value, table) in pixel.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_stays_as_it_is() {
        let mut flat = [9, 80, 255].repeat(30);
        let before = flat.clone();
        auto_contrast(&mut flat);
        equalize(&mut flat);
        assert_eq!(flat, before);
    }

    #[test]
    fn extremes_of_the_settings() {
        let values: Vec<u8> = (0..=255).collect();
        let after = |operation: &dyn Fn(&mut [u8])| {
            let mut pixels = values.clone();
            operation(&mut pixels);
            pixels
        };
        assert_eq!(after(&|p| posterize(p, 8)), values);
        assert!(after(&|p| posterize(p, 0)).iter().all(|&v| v == 0));
        assert_eq!(after(&|p| posterize(p, 3))[0b0101_1111], 0b0100_0000);
        assert_eq!(after(&|p| solarize(p, 256)), values);
        assert_eq!(after(&|p| solarize(p, 0)), after(&|p| invert(p)));
        assert_eq!(after(&|p| solarize_add(p, 110))[127..129], [237, 128]);
    }

    #[test]
    fn sharpness_of_what_is_all_edge_changes_nothing() {
        let mut narrow: Vec<u8> = (0..24).collect();
        sharpness(&mut narrow, 2, 0.0, &mut Vec::new());
        assert_eq!(narrow, (0..24).collect::<Vec<u8>>());
    }
}
