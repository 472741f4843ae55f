//! What can be wrong with a checkpoint file.

/// A broken rule of the format, with the values that broke it. Offsets are bytes from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PthError {
    /// The bytes are not a checkpoint.
    #[error("not a PyTorch checkpoint: {reason}; give a file that torch.save wrote")]
    Foreign {
        /// What they are instead, as far as that can be seen.
        reason: String,
    },
    /// A checkpoint of a kind that is not read.
    #[error("{what} is not read; load it with PyTorch and {SAVE_AGAIN}")]
    Unsupported {
        /// The kind.
        what: String,
    },
    /// The file ends too early, or claims more than it holds.
    #[error(
        "byte {offset}: {what} takes {needed} bytes, but {left} are left; \
         the file is cut short or damaged: copy or download it again"
    )]
    Truncated {
        /// Where the part begins.
        offset: usize,
        /// The part that is not whole.
        what: &'static str,
        /// Its length in bytes.
        needed: u64,
        /// Bytes from there to the end.
        left: usize,
    },
    /// The pickle names something that tensors and plain values do not need.
    #[error(
        "byte {offset}: refers to `{name}`: only tensors and plain values are read, and nothing in a file is run; \
         if you trust the file, load it with PyTorch and {SAVE_AGAIN}"
    )]
    Refused {
        /// Where the name stands.
        offset: usize,
        /// Module and name, cut where it is too long to print.
        name: String,
    },
    /// The pickle has an opcode that checkpoints do not.
    #[error(
        "byte {offset}: pickle opcode 0x{opcode:02x} is not among those of a checkpoint; \
         the file is damaged, or load it with PyTorch and {SAVE_AGAIN}"
    )]
    Opcode {
        /// Where it stands.
        offset: usize,
        /// The opcode.
        opcode: u8,
    },
    /// The pickle breaks its own rules, or a limit.
    #[error("byte {offset}: {reason}; the file is damaged: copy or download it again")]
    Pickle {
        /// Where the opcode stands that cannot be followed.
        offset: usize,
        /// The broken rule.
        reason: String,
    },
    /// An entry of the zip form, or the archive itself.
    #[error("{entry}: {reason}")]
    Archive {
        /// The entry's name.
        entry: String,
        /// The broken rule and what to do.
        reason: String,
    },
    /// The values of a storage are not there as the tensors need them.
    #[error("storage {key}: {reason}; the file is damaged: copy or download it again")]
    Storage {
        /// The storage's key.
        key: String,
        /// The broken rule.
        reason: String,
    },
    /// A tensor has more elements than a file of this length should hold.
    #[error(
        "{what} of {bytes} bytes from a file of {file}, more than {limit}; \
         load it with PyTorch, make the tensors contiguous and {SAVE_AGAIN}"
    )]
    TooLarge {
        /// The tensor, or all of them.
        what: String,
        /// Bytes that it would take.
        bytes: u64,
        /// Bytes of the file.
        file: usize,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// No weights where they are looked for.
    #[error("{what}; {seen}; load it with PyTorch and {SAVE_AGAIN}")]
    NoWeights {
        /// What was looked for.
        what: String,
        /// What the file holds at its top level.
        seen: String,
    },
}

const SAVE_AGAIN: &str = "save it again with torch.save({'state_dict': model.state_dict()}, FILE)";

/// Longest text from a file that a message repeats, in characters.
const SHOWN: usize = 80;

/// `text` as a message may show it: on one line and not too long.
pub(crate) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        cut.push_str("...");
    }
    cut
}
