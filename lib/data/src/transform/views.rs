//! Several crops of one image, whose answers are averaged when evaluating.

use super::crop::centre_offset;

/// Which crops of an image are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Views {
    /// Where they lie.
    pub crops: Crops,
    /// Whether each is also taken mirrored; the mirrored ones follow in the same order.
    pub mirrored: bool,
}

/// Where crops lie in the resized image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Crops {
    /// In the middle.
    #[default]
    Centre,
    /// In the corners - top left, top right, bottom left, bottom right - and in the middle.
    Five,
}

impl Views {
    /// Crops of each image: 1, 2, 5 or 10.
    #[must_use]
    pub fn count(self) -> usize {
        self.places().len() * if self.mirrored { 2 } else { 1 }
    }

    /// Those that are not mirrored.
    pub(super) fn places(self) -> &'static [Place] {
        const CENTRE: [Place; 1] = [Place(Along::Middle, Along::Middle)];
        const FIVE: [Place; 5] = [
            Place(Along::Start, Along::Start),
            Place(Along::Start, Along::End),
            Place(Along::End, Along::Start),
            Place(Along::End, Along::End),
            Place(Along::Middle, Along::Middle),
        ];
        match self.crops {
            Crops::Centre => &CENTRE,
            Crops::Five => &FIVE,
        }
    }
}

/// Where a crop lies down and across an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(Along, Along);

#[derive(Debug, Clone, Copy)]
enum Along {
    Start,
    Middle,
    End,
}

impl Place {
    /// (first row, first column) of a crop of side `size` in an image of (height, width); negative where the crop is the
    /// larger.
    pub(super) fn corner(self, (height, width): (usize, usize), size: usize) -> (i64, i64) {
        (self.0.offset(height, size), self.1.offset(width, size))
    }
}

impl Along {
    fn offset(self, outer: usize, inner: usize) -> i64 {
        match self {
            Self::Start => 0,
            Self::Middle => centre_offset(outer, inner),
            Self::End => outer as i64 - inner as i64,
        }
    }
}
