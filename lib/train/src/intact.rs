//! Whether the data are those that were prepared.

use crate::TrainError;
use crate::report::Report;
use crate::sitting::Sitting;
use cream_data::ShardSet;
use rayon::prelude::*;

/// Worth a word to people: so many bytes take seconds to read.
const MUCH: u64 = 1 << 30;

/// Reads every shard, several at once, and compares its checksum with the index's, unless a signal asks for an end.
///
/// # Errors
/// The first shard that differs or cannot be read.
pub fn check_shards(
    data: &ShardSet,
    sitting: &Sitting,
    report: &mut dyn Report,
) -> Result<(), TrainError> {
    let (count, bytes) = data.shards().fold((0, 0), |(n, sum), (_, bytes)| (n + 1, sum + bytes));
    if bytes >= MUCH {
        let size = bytes as f64 / MUCH as f64;
        report.message(&format!("comparing {count} shards ({size:.1} GiB) with their checksums"));
    }
    let check = |place| match sitting.signalled() {
        Some(_) => Ok(()),
        None => data.verify_shard(place),
    };
    let results: Vec<_> = (0..count).into_par_iter().map(check).collect();
    Ok(results.into_iter().collect::<Result<(), _>>()?)
}
