//! What a document says of itself: its kind and its version.

use crate::ArchError;

/// The version of every kind of document that this program writes and reads.
const VERSION: u64 = 1;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// What its key `format` holds.
    format: &'static str,
    /// Where one comes from.
    source: &'static str,
}

/// `arch.json`.
pub(crate) const ARCHITECTURE: Header =
    Header { format: "cream-architecture", source: "path-export prints architectures" };
/// `board.json`.
pub(crate) const BOARD: Header =
    Header { format: "cream-board", source: "supernet-train leaves a board.json in its run" };
/// `configs/space/*.toml`.
pub(crate) const SPACE: Header =
    Header { format: "cream-space", source: "begin with a copy of configs/space/cream.toml" };

impl Header {
    /// Refuses another kind of document.
    pub(crate) fn check_kind(self, found: &str) -> Result<(), ArchError> {
        if found == self.format {
            return Ok(());
        }
        let found: String = found.chars().take(100).collect();
        Err(ArchError::value("format", found, format!("{}; {}", self.format, self.source)))
    }

    /// Refuses another version: a newer program's file may mean something else by the same keys.
    pub(crate) fn check(self, found: impl Into<u64>) -> Result<(), ArchError> {
        let found = found.into();
        let advice = match found {
            VERSION => return Ok(()),
            0 => self.source,
            _ => {
                "the file is of a newer program: use that one, or make the file anew with this one"
            }
        };
        Err(ArchError::value("version", found, format!("{VERSION}; {advice}")))
    }
}
