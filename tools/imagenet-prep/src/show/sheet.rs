//! A sheet of square tiles in rows.

use cream_cli::Failure;
use cream_data::{Batch, RgbImage};

/// Pixels between tiles.
pub const GAP: usize = 2;
/// Most pixels of a sheet: a hundred megabytes of them.
const MAX_PIXELS: usize = 1 << 25;
/// The normalisation of the published networks, in which noise is drawn and images are mixed.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// White, but for the tiles that have been drawn.
pub struct Sheet {
    columns: usize,
    side: usize,
    image: RgbImage,
}

impl Sheet {
    /// A sheet for so many tiles, at least 1, about twice as wide as high.
    ///
    /// # Errors
    /// [`Failure::Input`] when it would have too many pixels.
    pub fn new(tiles: usize, side: usize) -> Result<Self, Failure> {
        let columns = (1..tiles).find(|columns| columns * columns >= 2 * tiles).unwrap_or(tiles);
        let along = |count: usize| count * (side + GAP) - GAP;
        let (width, height) = (along(columns), along(tiles.div_ceil(columns)));
        if width * height > MAX_PIXELS {
            return Err(Failure::input(format!(
                "n: {tiles} tiles of {side} pixels are a sheet of {width} x {height}, more than \
                 {MAX_PIXELS} pixels in all; give a smaller --n or --image-size"
            )));
        }
        let image = RgbImage { width, height, pixels: vec![255; width * height * 3] };
        Ok(Self { columns, side, image })
    }

    /// Row and column of a tile.
    pub fn place(&self, tile: usize) -> (usize, usize) {
        (tile / self.columns, tile % self.columns)
    }

    /// Draws the first images of a batch, at most `most`, as they are after normalising, on tiles from
    /// `first` on.
    pub fn draw(&mut self, batch: &Batch, first: usize, most: usize) {
        let values = batch.normalise(MEAN, STD);
        let (values, _) = values.as_chunks::<3>();
        let seen = |value: [f32; 3]| -> [u8; 3] {
            std::array::from_fn(|channel| {
                ((value[channel] * STD[channel] + MEAN[channel]) * 255.0).round() as u8
            })
        };
        let row_bytes = self.side * 3;
        for (number, tile) in values.chunks_exact(self.side * self.side).take(most).enumerate() {
            let (row, column) = self.place(first + number);
            for (line, values) in tile.chunks_exact(self.side).enumerate() {
                let y = row * (self.side + GAP) + line;
                let start = (y * self.image.width + column * (self.side + GAP)) * 3;
                let to = &mut self.image.pixels[start..start + row_bytes];
                let (to, _) = to.as_chunks_mut::<3>();
                to.iter_mut().zip(values).for_each(|(to, &value)| *to = seen(value));
            }
        }
    }

    /// The sheet as it is.
    pub fn into_image(self) -> RgbImage {
        self.image
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_are_about_twice_as_wide_as_high() {
        for (tiles, shape) in [(1, (1, 1)), (2, (2, 1)), (3, (3, 1)), (32, (8, 4)), (33, (9, 4))] {
            let sheet = Sheet::new(tiles, 10).unwrap().into_image();
            assert_eq!((sheet.width, sheet.height), (shape.0 * 12 - 2, shape.1 * 12 - 2));
        }
        let error = Sheet::new(10_000, 224).err().unwrap();
        assert!(error.error().to_string().starts_with("n: 10000 tiles of 224 pixels"));
    }
}
