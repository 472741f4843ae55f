//! Parquet files as on Hugging Face: a struct column `image` of `bytes` and `path`, and `label`.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use cream_cli::progress::Progress;
use cream_data::files::Aside;
use cream_data::keyed::shuffle;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use serde_json::json;

use crate::draw::Images;
use crate::plan::{Draw, Entry, Split};

const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (string); }
    optional int64 label;
}";
/// Rows of a group, as the datasets library writes images.
const GROUP: usize = 100;

/// Writes both splits into `out/data`.
pub fn write(images: &Images, rows: usize, out: &Path, progress: &Progress) -> Result<()> {
    let folder = out.join("data");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for (split, name) in [(Split::Train, "train"), (Split::Val, "validation")] {
        let mut entries = images.plan.entries(split);
        shuffle(&mut images.plan.rng(Draw::Rows, split as usize), &mut entries);
        let count = entries.len().div_ceil(rows);
        for (number, entries) in entries.chunks(rows).enumerate() {
            let path = folder.join(format!("{name}-{number:05}-of-{count:05}.parquet"));
            file(images, entries, &path, progress).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

fn file(images: &Images, entries: &[Entry], path: &Path, progress: &Progress) -> Result<()> {
    let mut aside = Aside::create(path)?;
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = Arc::new(properties(images));
    let mut writer = SerializedFileWriter::new(aside.writer(), schema, properties)?;
    for entries in entries.chunks(GROUP) {
        let mut rows = Rows::default();
        images.each(entries, |entry, bytes| {
            rows.bytes.push(bytes.into());
            rows.paths.push(images.plan.file_name(entry).into_bytes().into());
            rows.labels.push(images.plan.class(entry) as i64);
            Ok(())
        })?;
        rows.write(&mut writer)?;
        progress.advance(entries.len() as u64);
    }
    writer.close()?;
    Ok(aside.commit()?)
}

fn properties(images: &Images) -> WriterProperties {
    let names = &images.plan.synsets;
    let features = json!({ "image": { "_type": "Image" },
                           "label": { "names": names, "_type": "ClassLabel" } });
    let about = json!({ "info": { "features": features } }).to_string();
    let bytes = ColumnPath::from("image.bytes");
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_column_statistics_enabled(bytes, EnabledStatistics::None)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), about)]))
        .build()
}

/// A row group.
#[derive(Default)]
struct Rows {
    bytes: Vec<ByteArray>,
    paths: Vec<ByteArray>,
    labels: Vec<i64>,
}

impl Rows {
    /// Nothing is missing, so every value is defined at its column's full depth.
    fn write(&self, writer: &mut SerializedFileWriter<&mut BufWriter<File>>) -> Result<()> {
        let mut group = writer.next_row_group()?;
        for values in [&self.bytes, &self.paths] {
            if let Some(mut column) = group.next_column()? {
                let depth = vec![2; values.len()];
                column.typed::<ByteArrayType>().write_batch(values, Some(&depth), None)?;
                column.close()?;
            }
        }
        if let Some(mut column) = group.next_column()? {
            let depth = vec![1; self.labels.len()];
            column.typed::<Int64Type>().write_batch(&self.labels, Some(&depth), None)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }
}
