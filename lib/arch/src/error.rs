//! What can be wrong with an architecture, a space, a path, a board or a request.

/// A broken rule, with the values that broke it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArchError {
    /// The text is not the format expected; `location` is its path inside the document.
    #[error("{location}: {reason}")]
    Parse {
        /// Path inside the document, such as `stages[1][0].kernel`, or `line 3 column 7`.
        location: String,
        /// What the reader found and what it expected.
        reason: String,
    },
    /// A value that parses but is outside what is allowed.
    #[error("{location}: {value} is not allowed; allowed: {allowed}")]
    Value {
        /// Path inside the document.
        location: String,
        /// The value found.
        value: String,
        /// The values allowed.
        allowed: String,
    },
    /// A path that does not belong to the space or to the depths asked for.
    #[error("path {path}: {reason}")]
    Path {
        /// The path as read.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An architecture that no path of the space builds.
    #[error("{location}: the space {space} has {expected} there, the architecture {found}")]
    NotInSpace {
        /// Where the two first differ.
        location: String,
        /// Name of the space.
        space: String,
        /// What the space holds.
        expected: String,
        /// What the architecture holds.
        found: String,
    },
    /// No path of these depths and this size costs what the interval asks.
    #[error(
        "no path counts between {} and {} at {image_size} px with {depths:?} layers; \
         those count {} to {} MFLOPs, so move the limits into that range",
        millions(*.min), millions(*.max), millions(*.cheapest), millions(*.costliest)
    )]
    EmptyInterval {
        /// Least FLOPs asked for.
        min: u64,
        /// Most FLOPs asked for.
        max: u64,
        /// Input size in pixels.
        image_size: usize,
        /// Layers per searched stage.
        depths: Vec<usize>,
        /// FLOPs of the cheapest path there is.
        cheapest: u64,
        /// FLOPs of the costliest path there is.
        costliest: u64,
    },
    /// Exact sampling would need more states than fit.
    #[error(
        "exact sampling at {image_size} px needs {states} states, at most {limit} are allowed; \
         narrow the FLOPs interval, take fewer layers, or choose an input size that is a multiple of 32"
    )]
    TooManyStates {
        /// Input size in pixels.
        image_size: usize,
        /// States needed.
        states: u64,
        /// States allowed.
        limit: u64,
    },
    /// Peak memory of the batch cannot be stated in 64 bits.
    #[error("batch {batch}: its activations exceed 2^64 bytes; give a smaller batch")]
    Batch {
        /// Batch size asked for.
        batch: u64,
    },
    /// A name that is neither a published network nor a baseline.
    #[error("{name}: no such network; known: {known}")]
    UnknownName {
        /// Name asked for.
        name: String,
        /// Names there are.
        known: String,
    },
}

impl ArchError {
    /// A value outside what is allowed.
    pub(crate) fn value(
        location: impl Into<String>,
        value: impl std::fmt::Display,
        allowed: impl Into<String>,
    ) -> Self {
        Self::Value { location: location.into(), value: value.to_string(), allowed: allowed.into() }
    }

    /// The same for a fraction, written with an exponent where its digits would fill a line.
    pub(crate) fn number(location: impl Into<String>, value: f64, allowed: &str) -> Self {
        let plain = value == 0.0 || (1e-6..1e15).contains(&value.abs());
        let value = if plain { value.to_string() } else { format!("{value:e}") };
        Self::value(location, value, allowed)
    }

    /// The same error about a part of a larger document.
    pub(crate) fn inside(self, part: &str) -> Self {
        let within = |location: String| match location.as_str() {
            "the document" => part.to_owned(),
            _ => format!("{part}.{location}"),
        };
        match self {
            Self::Value { location, value, allowed } => {
                Self::Value { location: within(location), value, allowed }
            }
            Self::Parse { location, reason } => Self::Parse { location: within(location), reason },
            Self::Path { path, reason } => Self::Path { path: format!("{path} ({part})"), reason },
            other => other,
        }
    }
}

/// Raw FLOPs in millions, exactly: a limit that a message names can be given back as a flag.
pub(crate) fn millions(flops: u64) -> String {
    if flops == u64::MAX {
        return "no limit".to_owned();
    }
    (flops as f64 / 1e6).to_string()
}
