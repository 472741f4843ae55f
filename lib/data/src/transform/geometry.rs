//! Rotation, shear and translation with the sampling of Pillow's `Image.transform`.
//!
//! An output pixel's centre is mapped into the image; what falls outside is filled with the mean
//! colour of photographs. Weights are in fixed point, which moves some values by a level.

use super::resize::Filter;

/// The colour outside the image: the mean that inputs are normalised with, in 8 bits.
pub const FILL: [u8; 3] = [124, 116, 104];

/// Bits after the point of a weight. Two bicubic weights of it and a value fit in 31 bits.
const BITS: u32 = 10;
const ONE: i32 = 1 << BITS;

/// A map from (column, row) in the output to (column, row) in the image: `[a, b, c, d, e, f]` gives
/// `(a x + b y + c, d x + e y + f)`.
pub type Affine = [f64; 6];

/// Turns about the centre, counter-clockwise.
#[must_use]
pub fn rotation(degrees: f64, (height, width): (usize, usize)) -> Affine {
    let (sin, cos) = (-degrees.to_radians()).sin_cos();
    let (x, y) = (width as f64 / 2.0, height as f64 / 2.0);
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/// Shifts every row by `slope` times its number.
#[must_use]
pub fn shear_x(slope: f64) -> Affine {
    [1.0, slope, 0.0, 0.0, 1.0, 0.0]
}

/// Shifts every column by `slope` times its number.
#[must_use]
pub fn shear_y(slope: f64) -> Affine {
    [1.0, 0.0, 0.0, slope, 1.0, 0.0]
}

/// Moves the image left by `columns` and up by `rows`.
#[must_use]
pub fn translation(columns: f64, rows: f64) -> Affine {
    [1.0, 0.0, columns, 0.0, 1.0, rows]
}

/// Maps `pixels`, `[height, width, 3]`, in place; `copy` is memory to use again.
pub fn transform(
    pixels: &mut [u8],
    (height, width): (usize, usize),
    map: Affine,
    filter: Filter,
    copy: &mut Vec<u8>,
) {
    copy.clear();
    copy.extend_from_slice(pixels);
    let source = Source { pixels: copy, height, width };
    match filter {
        Filter::Bilinear => fill(pixels, &source, map, |x, y| source.sample(linear, x, y)),
        Filter::Bicubic => fill(pixels, &source, map, |x, y| source.sample(cubic, x, y)),
    }
}

fn fill(
    pixels: &mut [u8],
    source: &Source<'_>,
    [a, b, c, d, e, f]: Affine,
    sample: impl Fn(f64, f64) -> [u8; 3],
) {
    let inside = |at: f64, side: usize| (0.0..side as f64).contains(&at);
    for (row, out) in pixels.chunks_exact_mut(source.width * 3).enumerate() {
        let y = row as f64 + 0.5;
        let (out, _) = out.as_chunks_mut::<3>();
        for (column, pixel) in out.iter_mut().enumerate() {
            let x = column as f64 + 0.5;
            let (from_x, from_y) = (a * x + b * y + c, d * x + e * y + f);
            let seen = inside(from_x, source.width) && inside(from_y, source.height);
            *pixel = if seen { sample(from_x - 0.5, from_y - 0.5) } else { FILL };
        }
    }
}

struct Source<'a> {
    pixels: &'a [u8],
    height: usize,
    width: usize,
}

impl Source<'_> {
    /// The value at a place between pixel centres, from `N` x `N` of them; edges are repeated.
    fn sample<const N: usize>(&self, weights: fn(f32) -> [i32; N], x: f64, y: f64) -> [u8; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (across, down) = (weights((x - left) as f32), weights((y - top) as f32));
        let before = N as i64 / 2 - 1;
        let place = |first: f64, step: usize, side: usize| {
            (first as i64 - before + step as i64).clamp(0, side as i64 - 1) as usize
        };
        let columns: [usize; N] = std::array::from_fn(|i| place(left, i, self.width) * 3);
        let mut sums = [0; 3];
        for (i, weight) in down.iter().enumerate() {
            let row = &self.pixels[place(top, i, self.height) * self.width * 3..];
            let mut line = [0; 3];
            for (column, weight) in columns.iter().zip(&across) {
                if let Some(pixel) = row.get(*column..column + 3) {
                    for (sum, value) in line.iter_mut().zip(pixel) {
                        *sum += weight * i32::from(*value);
                    }
                }
            }
            for (sum, line) in sums.iter_mut().zip(line) {
                *sum += weight * line;
            }
        }
        // Truncated, as Pillow does.
        sums.map(|sum| (sum >> (2 * BITS)).clamp(0, 255) as u8)
    }
}

/// Weights of two neighbours at a distance in [0, 1) from the first.
fn linear(distance: f32) -> [i32; 2] {
    let second = (distance * ONE as f32).round() as i32;
    [ONE - second, second]
}

/// Weights of four neighbours at a distance in [0, 1) from the second: Keys' cubic with a = -1,
/// which is Pillow's here, though not when it resizes.
fn cubic(d: f32) -> [i32; 4] {
    let fixed = |weight: f32| (weight * ONE as f32).round() as i32;
    let first = fixed(-d * (1.0 - d) * (1.0 - d));
    let third = fixed(d * (1.0 + d - d * d));
    let fourth = fixed(-d * d * (1.0 - d));
    [first, ONE - first - third - fourth, third, fourth]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        (0..9 * 7 * 3).map(|i| (i * 37 % 251) as u8).collect()
    }

    #[test]
    fn nothing_moves_by_nothing() {
        let still = [rotation(0.0, (9, 7)), shear_x(0.0), shear_y(0.0), translation(0.0, 0.0)];
        for (map, filter) in still.into_iter().zip([Filter::Bilinear, Filter::Bicubic].repeat(2)) {
            let mut pixels = image();
            transform(&mut pixels, (9, 7), map, filter, &mut Vec::new());
            assert_eq!(pixels, image(), "{map:?}");
        }
    }

    #[test]
    fn whole_pixels_move_whole_and_leave_the_mean_colour() {
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            let mut pixels = image();
            transform(&mut pixels, (9, 7), translation(2.0, -1.0), filter, &mut Vec::new());
            let before = image();
            for (place, pixel) in pixels.chunks(3).enumerate() {
                let (row, column) = (place / 7, place % 7);
                let wanted = if row < 1 || column + 2 >= 7 {
                    &FILL[..]
                } else {
                    let from = ((row - 1) * 7 + column + 2) * 3;
                    &before[from..from + 3]
                };
                assert_eq!(pixel, wanted, "row {row}, column {column}");
            }
        }
    }

    #[test]
    fn a_quarter_turn_is_exact_up_to_its_rounding() {
        let mut pixels: Vec<u8> = (0..4 * 4 * 3).map(|i| (i * 5) as u8).collect();
        let before = pixels.clone();
        transform(&mut pixels, (4, 4), rotation(90.0, (4, 4)), Filter::Bilinear, &mut Vec::new());
        for (row, column) in (0..4).flat_map(|row| (0..4).map(move |column| (row, column))) {
            // Counter-clockwise: the right column becomes the top row.
            let (to, from) = ((row * 4 + column) * 3, (column * 4 + 3 - row) * 3);
            assert!(pixels[to].abs_diff(before[from]) <= 1, "row {row}, column {column}");
        }
    }

    #[test]
    fn weights_add_up_to_one() {
        for step in 0..1000 {
            let d = step as f32 / 1000.0;
            assert_eq!(linear(d).iter().sum::<i32>(), ONE);
            assert_eq!(cubic(d).iter().sum::<i32>(), ONE);
        }
    }
}
