//! Which images a step was on whose numbers are not finite.

use cream_data::{Batch, ShardSet};

/// A CSV of the batch's images, in its order: key, class and shard, by which they are found again.
///
/// # Errors
/// When a sample is not of the data set.
pub(crate) fn image_list(
    data: &ShardSet,
    batch: &Batch,
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["key", "class", "shard"])?;
    for (&sample, &label) in batch.samples.iter().zip(&batch.labels) {
        let class = data.classes().get(label as usize).map_or("", String::as_str);
        let shard = data.shard_of(sample);
        let shard = shard.file_name().unwrap_or_default().to_string_lossy();
        writer.write_record([data.key(sample)?, class, &shard])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}
