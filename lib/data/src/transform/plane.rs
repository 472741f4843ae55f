//! Resizing of single planes, four rows at a time.
//!
//! Along a row, the resizer is quick with pixels of four values and slow with pixels of one. So four
//! rows of a plane become one row of such pixels, are resized together, and part again.

use fast_image_resize::pixels::{U8, U8x4};

use super::resize::{Area, Filter, ResizeScratch, Window, pass};
use crate::decode::Plane;
use crate::error::DataError;

/// Buffers that resizing of planes uses again.
#[derive(Default)]
pub(super) struct PlaneScratch {
    wide: Vec<u8>,
    narrow: Vec<u8>,
    rows: Vec<u8>,
    small: Vec<u8>,
}

/// Resizes the first `extent`, (rows, columns), of planes of one size to `[height, width]` in `out`.
/// They are not smaller than it, or go on with their last row and column. Rows first, then columns,
/// as [`resize`](super::resize) does.
///
/// # Errors
/// [`DataError::Image`] for an empty extent.
pub(crate) fn resize_planes(
    planes: &[Plane],
    extent: (f64, f64),
    filter: Filter,
    (height, width): (usize, usize),
    scratch: &mut ResizeScratch,
    out: &mut [Vec<u8>],
) -> Result<(), DataError> {
    let ResizeScratch { resizer, plane: PlaneScratch { wide, narrow, rows, small }, .. } = scratch;
    let (source_rows, columns) = (extent.0.ceil() as usize, extent.1.ceil() as usize);
    // Below one another along the rows, beside one another along the columns: the weights of a pass
    // are worked out once for all of them.
    let groups = source_rows.div_ceil(4);
    group(planes, (groups, columns), wide);
    let all_groups = groups * planes.len();
    narrow.resize(all_groups * width * 4, 0);
    let across = Area { top: 0.0, left: 0.0, height: all_groups as f64, width: extent.1 };
    let cover = Window { top: 0, left: 0, height: all_groups, width: columns };
    let (source, target) = ((&wide[..], all_groups, columns), (&mut narrow[..], all_groups, width));
    pass::<U8x4>(resizer, source, cover, across, filter, target)?;
    part(narrow, (planes.len(), groups, width), rows);
    let all_width = width * planes.len();
    small.resize(height * all_width, 0);
    let down = Area { top: 0.0, left: 0.0, height: extent.0, width: all_width as f64 };
    let cover = Window { top: 0, left: 0, height: source_rows, width: all_width };
    let (source, target) =
        ((&rows[..], groups * 4, all_width), (&mut small[..], height, all_width));
    pass::<U8>(resizer, source, cover, down, filter, target)?;
    for (number, out) in out.iter_mut().enumerate() {
        out.clear();
        for row in small.chunks_exact(all_width) {
            out.extend_from_slice(&row[number * width..][..width]);
        }
    }
    Ok(())
}

/// Four rows become one whose pixels are the four values of a column.
fn group(planes: &[Plane], (groups, columns): (usize, usize), wide: &mut Vec<u8>) {
    wide.resize(planes.len() * groups * columns * 4, 0);
    for (number, pixels) in wide.chunks_exact_mut(columns * 4).enumerate() {
        let (plane, number) = (&planes[number / groups], number % groups);
        let width = plane.width.min(columns);
        let [a, b, c, d] = [0, 1, 2, 3].map(|row| {
            let row = (number * 4 + row).min(plane.height - 1);
            &plane.values[row * plane.stride..][..width]
        });
        let (pixels, _) = pixels.as_chunks_mut::<4>();
        let (inside, beyond) = pixels.split_at_mut(width);
        // As one number, which compilers turn into few instructions for many pixels.
        for (pixel, (((a, b), c), d)) in inside.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
            let [a, b, c, d] = [*a, *b, *c, *d].map(u32::from);
            *pixel = (a | (b << 8) | (c << 16) | (d << 24)).to_le_bytes();
        }
        if let Some(last) = inside.last() {
            beyond.fill(*last);
        }
    }
}

/// The other way round, to rows that hold all planes, one after the other.
fn part(narrow: &[u8], (planes, groups, width): (usize, usize, usize), rows: &mut Vec<u8>) {
    rows.resize(narrow.len(), 0);
    for (number, pixels) in narrow.chunks_exact(width * 4).enumerate() {
        let (plane, number) = (number / groups, number % groups);
        let (pixels, _) = pixels.as_chunks::<4>();
        for place in 0..4 {
            let row = &mut rows[((number * 4 + place) * planes + plane) * width..][..width];
            for (value, pixel) in row.iter_mut().zip(pixels) {
                *value = (u32::from_le_bytes(*pixel) >> (8 * place)) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyed::{Key, Purpose, below};

    /// The resizer's own way with planes.
    fn plain(
        values: &[u8],
        (height, width): (usize, usize),
        sides: (usize, usize),
        out: &mut [u8],
    ) {
        let resizer = &mut fast_image_resize::Resizer::new();
        let mut rows = vec![0; height * sides.1];
        let cover = Window { top: 0, left: 0, height, width };
        let target = (&mut rows[..], height, sides.1);
        pass::<U8>(resizer, (values, height, width), cover, cover.into(), Filter::Bicubic, target)
            .unwrap();
        let cover = Window { width: sides.1, ..cover };
        let source = (&rows[..], height, sides.1);
        pass::<U8>(resizer, source, cover, cover.into(), Filter::Bicubic, (out, sides.0, sides.1))
            .unwrap();
    }

    #[test]
    fn planes_are_resized_as_by_the_plain_way() {
        let mut scratch = ResizeScratch::default();
        for (width, height) in
            [(61, 47), (64, 64), (300, 5), (3, 210), (1, 9), (9, 1), (1, 1), (130, 131)]
        {
            let rng = &mut Key::new(7, Purpose::Synthetic).rng(&[width as u64, height as u64]);
            let mut values = || (0..(width + 5) * height).map(|_| below(rng, 256) as u8).collect();
            let planes =
                [(); 2].map(|()| Plane { width, height, stride: width + 5, values: values() });
            let inside = |plane: &Plane| -> Vec<u8> {
                plane.values.chunks(width + 5).flat_map(|row| &row[..width]).copied().collect()
            };
            let extent = (height as f64, width as f64);
            for sides in [(height, width), (height.div_ceil(2), width.div_ceil(3)), (1, 1)] {
                for planes in [&planes[..], &planes[1..]] {
                    let mut out = vec![Vec::new(); planes.len()];
                    let filter = Filter::Bicubic;
                    resize_planes(planes, extent, filter, sides, &mut scratch, &mut out).unwrap();
                    for (plane, out) in planes.iter().zip(out) {
                        let mut expected = vec![0; sides.0 * sides.1];
                        plain(&inside(plane), (height, width), sides, &mut expected);
                        assert_eq!(out, expected, "{width} x {height} to {sides:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn beyond_its_edges_a_plane_goes_on() {
        let mut scratch = ResizeScratch::default();
        let values = vec![10, 20, 30, 255, 40, 50, 60, 255];
        let plane = [Plane { width: 3, height: 2, stride: 4, values }];
        let (mut got, mut expected) = ([Vec::new()], vec![0; 6]);
        resize_planes(&plane, (3.0, 4.0), Filter::Bicubic, (2, 3), &mut scratch, &mut got).unwrap();
        let longer = [10, 20, 30, 30, 40, 50, 60, 60, 40, 50, 60, 60];
        plain(&longer, (3, 4), (2, 3), &mut expected);
        assert_eq!(got[0], expected);
    }
}
