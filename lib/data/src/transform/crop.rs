//! Where crops and small images are placed.

use crate::decode::RgbImage;

/// (outer - inner) / 2, rounded half to even as Python's `round` does; negative when the inner
/// side is the longer.
#[must_use]
pub fn centre_offset(outer: usize, inner: usize) -> i64 {
    let difference = outer as i64 - inner as i64;
    let floor = difference.div_euclid(2);
    if difference.rem_euclid(2) == 1 && floor.rem_euclid(2) == 1 { floor + 1 } else { floor }
}

/// Places `image` at the centre of a black square of side `size`, moved by `(down, right)` pixels;
/// what falls outside is cut off.
///
/// `out` is `[size, size, 3]`.
pub fn paste_centred(image: &RgbImage, size: usize, (down, right): (i64, i64), out: &mut [u8]) {
    out.fill(0);
    let top = centre_offset(size, image.height) + down;
    let left = centre_offset(size, image.width) + right;
    let columns = visible(left, image.width, size);
    if columns.is_empty() {
        return;
    }
    for row in visible(top, image.height, size) {
        let to = ((row as i64 + top) as usize * size + (columns.start as i64 + left) as usize) * 3;
        let from = (row * image.width + columns.start) * 3;
        let length = columns.len() * 3;
        out[to..to + length].copy_from_slice(&image.pixels[from..from + length]);
    }
}

/// The indices of `length` items placed at `start` that fall inside `0..size`.
fn visible(start: i64, length: usize, size: usize) -> std::ops::Range<usize> {
    let first = (-start).clamp(0, length as i64);
    let end = (size as i64 - start).clamp(first, length as i64);
    first as usize..end as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_round_half_to_even() {
        let halves: Vec<i64> = (0..8).map(|d| centre_offset(100 + d, 100)).collect();
        // Python: [round(d / 2) for d in range(8)]
        assert_eq!(halves, [0, 0, 1, 2, 2, 2, 3, 4]);
        // Python: [round(-d / 2) for d in range(8)]
        let negative: Vec<i64> = (0..8).map(|d| centre_offset(100, 100 + d)).collect();
        assert_eq!(negative, [0, 0, -1, -2, -2, -2, -3, -4]);
    }

    #[test]
    fn small_images_are_framed_and_large_ones_cut() {
        let image = RgbImage { width: 2, height: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        let mut out = vec![9; 4 * 4 * 3];
        paste_centred(&image, 4, (0, 0), &mut out);
        let row = |r: usize| out[r * 12..(r + 1) * 12].to_vec();
        // Height: (4 - 1) / 2 = 1.5, to even 2. Width: (4 - 2) / 2 = 1.
        assert_eq!(row(2), [0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0]);
        assert!([0, 1, 3].iter().all(|&r| row(r).iter().all(|&v| v == 0)));

        let mut cut = vec![9; 3];
        paste_centred(&image, 1, (0, 0), &mut cut);
        assert_eq!(cut, [1, 2, 3]);
        paste_centred(&image, 1, (0, -1), &mut cut);
        assert_eq!(cut, [4, 5, 6]);
        paste_centred(&image, 1, (1, 0), &mut cut);
        assert_eq!(cut, [0, 0, 0]);
    }

    #[test]
    fn shifts_past_the_edge_leave_black() {
        let image = RgbImage { width: 2, height: 2, pixels: vec![7; 12] };
        let mut out = vec![9; 2 * 2 * 3];
        paste_centred(&image, 2, (2, 0), &mut out);
        assert!(out.iter().all(|&v| v == 0));
        paste_centred(&image, 2, (-1, 0), &mut out);
        assert_eq!(out, [7, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0]);
    }
}
