//! Networks as data: the search space, paths through it, the architecture file, counting, layers
//! and input size from a FLOPs interval, exact sampling inside it, children of paths, and the board
//! of prioritized paths.
//!
//! Nothing here knows a tensor library, so the tools that only count and choose start in a
//! millisecond. `FORMATS.md` beside this crate describes the files.

mod architecture;
mod board;
mod cost;
mod error;
mod evolution;
mod header;
mod interval;
mod json;
mod path;
mod published;
mod sampling;
mod space;
mod wording;

pub use architecture::{
    Activation, Architecture, Block, EvaluationTransform, FormatTag, Gate, Head, HeadPosition,
    Input, Interpolation, Norm, Operator, Padding, Provenance, Source, SqueezeExcite, Stem,
    round_to_8,
};
pub use board::{Admission, Board, BoardEntry, BoardFile, BoardTag, Candidate, Entry};
pub use cost::{ChoiceCosts, Convention, Cost, LayerCost, LayerKind};
pub use error::ArchError;
pub use evolution::Evolution;
pub use interval::{FlopsInterval, GivenShape, Shape};
pub use path::{Path, Reading};
pub use published::{BASELINES, PUBLISHED, published, published_file, published_names};
pub use sampling::PathSampler;
pub use space::{
    Choice, FirstBlock, Growth, LastBlock, SearchedStage, Space, SpaceTag, SqueezeExciteRule,
    Widths,
};
