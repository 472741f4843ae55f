//! The grids of the kernels for CUDA: what the head of every `kernel.cu` asks for, in blocks of [`THREADS`] threads.
//!
//! They follow from shapes alone, and with them the order of all sums. Nothing here needs a device, so that the tests which
//! run kernels on the host launch them as the operators do.

use super::Window;

/// Threads of a block, in one row, as in device.cuh.
pub const THREADS: usize = 256;

/// The most lanes of a line, each with a vector of channels: MOST of `Columns` in device.cuh, where it is not given.
const LANES: usize = 32;
/// The most that a grid can have down.
const MOST_DOWN: usize = 65_535;

/// Blocks that rows are shared out among: several times what a device holds at once, so that the last of them end at about
/// the same time. Sums have fewer, as theirs are added up afterwards.
const PASSES: usize = 2048;
const SUMS: usize = 1024;
/// Rows that a thread has at least, where there are as many: it first brings what it needs of its channels.
const ROWS: usize = 8;

/// Channels that a thread of a depthwise convolution has, outputs that it computes together, and lanes of a line in sums for
/// the weight: FOUR, TILE and MOST in its kernel.cu.
const FOUR: usize = 4;
const TILE: usize = 4;
const WEIGHT_LANES: usize = 16;
/// Rows of outputs that a block sums up at least, where there are as many.
const WEIGHT_ROWS: usize = 4;

/// Blocks of a launch, along x and y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Along x.
    pub across: usize,
    /// Along y.
    pub down: usize,
}

/// Elements T of one load: VECTOR in device.cuh.
const fn vector<T>() -> usize {
    16 / size_of::<T>()
}

/// Groups that vectors of channels are dealt out in, and lines of a block.
fn groups_and_lines(vectors: usize, most: usize) -> (usize, usize) {
    let groups = vectors.div_ceil(most).max(1);
    (groups, THREADS / vectors.div_ceil(groups).max(1))
}

impl Grid {
    /// So many threads.
    pub fn of_threads(threads: usize) -> Self {
        Self { across: threads.div_ceil(THREADS), down: 1 }
    }

    /// A thread for every vector of so many elements T.
    pub fn of_vectors<T>(elements: usize) -> Self {
        Self::of_threads(elements.div_ceil(vector::<T>()))
    }

    /// Groups of 32 vectors of channels across, and so many blocks down.
    pub fn of_columns<T>(channels: usize, down: usize) -> Self {
        let (across, _) = groups_and_lines(channels.div_ceil(vector::<T>()), LANES);
        Self { across, down }
    }

    /// The same for few rows, with as many blocks down as give every row a line.
    pub fn of_rows<T>(rows: usize, channels: usize) -> Self {
        let (across, lines) = groups_and_lines(channels.div_ceil(vector::<T>()), LANES);
        Self { across, down: rows.div_ceil(lines).clamp(1, MOST_DOWN) }
    }

    /// Groups of 8 vectors of channels, each of which is one block's.
    pub fn of_few<T>(channels: usize) -> Self {
        Self { across: channels.div_ceil(vector::<T>()).div_ceil(8), down: 1 }
    }

    /// Groups of 8 channels, each of which is one block's.
    pub fn of_single(channels: usize) -> Self {
        Self { across: channels.div_ceil(8), down: 1 }
    }

    /// Many tensors in one launch, the longest of which has so many elements: a column of blocks for each.
    pub fn of_many(count: usize, longest: usize) -> Self {
        // Eight elements for a thread are enough to be worth its while.
        Self { across: longest.div_ceil(8 * THREADS).clamp(1, 128), down: count }
    }

    /// A depthwise convolution's outputs.
    pub fn of_outputs(w: &Window, images: usize, channels: usize) -> Self {
        Self::of_tiles(images * w.out_height, w.out_width, channels)
    }

    /// A depthwise convolution's inputs, whose tiles begin at the left of the padding.
    pub fn of_inputs(w: &Window, images: usize, channels: usize) -> Self {
        Self::of_tiles(images * w.height, w.width + w.left, channels)
    }

    /// At most a tile for every line of a block; fewer blocks fill a device, and bring the taps less often.
    fn of_tiles(rows: usize, width: usize, channels: usize) -> Self {
        let (groups, lines) = groups_and_lines(channels.div_ceil(FOUR), LANES);
        let tiles = rows * width.div_ceil(TILE);
        let across = tiles.div_ceil(lines).min(SUMS / groups).max(1);
        Self { across, down: groups }
    }

    /// Sums for a depthwise convolution's weight, in so many pieces.
    pub fn of_taps(channels: usize, pieces: usize) -> Self {
        let (across, _) = groups_and_lines(channels.div_ceil(FOUR), WEIGHT_LANES);
        Self { across, down: pieces }
    }

    /// A depthwise convolution's weight of so many taps, from the sums of the pieces.
    pub fn of_weight(channels: usize, taps: usize) -> Self {
        Self { across: channels.div_ceil(LANES), down: taps }
    }
}

/// Pieces of rows of T for a pass that only reads and writes.
pub fn passes<T>(rows: usize, channels: usize) -> usize {
    pieces(rows, groups_and_lines(channels.div_ceil(vector::<T>()), LANES), PASSES)
}

/// Pieces of rows of T that sums are taken in.
pub fn sums<T>(rows: usize, channels: usize) -> usize {
    pieces(rows, groups_and_lines(channels.div_ceil(vector::<T>()), LANES), SUMS)
}

fn pieces(rows: usize, (groups, lines): (usize, usize), blocks: usize) -> usize {
    (blocks / groups).min(rows.div_ceil(ROWS * lines)).clamp(1, MOST_DOWN)
}

/// Pieces that sums for a depthwise convolution's weight are taken in: of the images' rows of outputs.
pub fn weight_sums(w: &Window, images: usize, channels: usize) -> usize {
    let (groups, _) = groups_and_lines(channels.div_ceil(FOUR), WEIGHT_LANES);
    (SUMS / groups).min((images * w.out_height).div_ceil(WEIGHT_ROWS)).clamp(1, MOST_DOWN)
}

#[cfg(test)]
mod tests {
    use super::{Grid, passes, sums, weight_sums};
    use crate::ops::Window;
    use cream_arch::Padding;

    /// The expanded activation of a block of path 287: [256 * 56 * 56, 144] in 16 bits.
    #[test]
    fn a_large_matrix_fills_a_device() {
        let (rows, c) = (256 * 56 * 56, 144);
        assert_eq!(Grid::of_columns::<u16>(c, 7), Grid { across: 1, down: 7 });
        // 144 channels are 36 vectors of 4, which is more than the lanes of a line.
        assert_eq!(Grid::of_columns::<f32>(c, 7), Grid { across: 2, down: 7 });
        assert_eq!((passes::<u16>(rows, c), sums::<u16>(rows, c)), (2048, 1024));
        assert_eq!(passes::<f32>(rows, c), 1024);
        let w = Window::new(5, 2, Padding::Half, 56, 56).unwrap();
        assert_eq!(Grid::of_outputs(&w, 256, c), Grid { across: 512, down: 2 });
        assert_eq!(weight_sums(&w, 256, c), 341);
        assert_eq!(Grid::of_taps(c, 341), Grid { across: 3, down: 341 });
    }

    #[test]
    fn small_ones_get_no_idle_blocks() {
        assert_eq!((passes::<f32>(1, 1), sums::<f32>(1, 1)), (1, 1));
        // 33 channels are 9 vectors, of which a block has 28 rows at a time.
        assert_eq!(sums::<f32>(8 * 28 + 1, 33), 2);
        assert_eq!(Grid::of_rows::<f32>(28, 33), Grid { across: 1, down: 1 });
        assert_eq!(Grid::of_rows::<f32>(29, 33), Grid { across: 1, down: 2 });
        let w = Window::new(3, 1, Padding::Half, 5, 2).unwrap();
        assert_eq!(Grid::of_inputs(&w, 1, 5), Grid { across: 1, down: 1 });
        assert_eq!(weight_sums(&w, 1, 5), 2);
        assert_eq!(Grid::of_vectors::<u16>(8 * 256 + 1), Grid { across: 2, down: 1 });
        assert_eq!((Grid::of_few::<f32>(33).across, Grid::of_single(33).across), (2, 5));
        assert_eq!(Grid::of_many(3, 2049), Grid { across: 2, down: 3 });
    }
}
