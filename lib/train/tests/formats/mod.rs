//! Checks every JSON document that the tools leave or print against the schema of its kind: `.json` and `.jsonl` files
//! and the descriptions in `.safetensors` files.
//!
//! The small validator beside the architecture's schema is used rather than a crate: it knows the twenty keywords that
//! the schemas use and fails on any other, where the crates bring some forty more and pass over what they do not know.

#[path = "../../../arch/tests/json_schema/mod.rs"]
mod json_schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cream_nn::TensorFile;
use json_schema::Schemas;
use serde_json::Value;

/// The schema of each kind, by what a document's `format` says or by what it is where it has none.
const SCHEMAS: [(&str, &str); 13] = [
    ("cream-architecture", include_str!("../../../arch/schema/architecture.schema.json")),
    ("cream-board", include_str!("../../../arch/schema/board.schema.json")),
    ("cream-shards", include_str!("../../../data/schema/index.schema.json")),
    ("cream-run", include_str!("../../schema/manifest.schema.json")),
    ("cream-weights", include_str!("../../schema/weights.schema.json")),
    ("cream-supernet", include_str!("../../schema/supernet.schema.json")),
    ("search checkpoint", include_str!("../../schema/search-checkpoint.schema.json")),
    ("retrain checkpoint", include_str!("../../schema/retrain-checkpoint.schema.json")),
    ("cream-logits", include_str!("../../../../tools/evaluate/schema/logits.schema.json")),
    ("cream-inputs", include_str!("../../../../tools/evaluate/schema/inputs.schema.json")),
    ("evaluation", include_str!("../../../../tools/evaluate/schema/evaluation.schema.json")),
    ("path score", include_str!("../../../../tools/evaluate/schema/path-score.schema.json")),
    ("counts", include_str!("../../../../tools/flops-count/schema/counts.schema.json")),
];

/// Checks a document; its kind, or what is wrong with it.
pub fn check(document: &Value) -> Result<&'static str, String> {
    let (kind, schema) = schema_of(document)?;
    let result = match kind {
        // Those that others refer to are loaded already.
        "cream-architecture" => Schemas::load().check_architecture(document),
        "cream-board" => Schemas::load().check_board(document),
        _ => Schemas::load().check_against(schema, document),
    };
    result.map(|()| kind)
}

pub fn schema_of(document: &Value) -> Result<(&'static str, &'static str), String> {
    let run = &document["run"];
    let kind = match document["format"].as_str() {
        Some(format) => format.to_owned(),
        None if run["format"] == "cream-checkpoint" => {
            format!("{} checkpoint", run["kind"].as_str().unwrap_or("?"))
        }
        None if document.get("convention").is_some() => "counts".to_owned(),
        None if document.get("path").is_some() => "path score".to_owned(),
        None if document.get("top5").is_some() => "evaluation".to_owned(),
        None => return Err(format!("no schema knows {document}")),
    };
    let known = SCHEMAS.into_iter().find(|(name, _)| *name == kind);
    known.ok_or_else(|| format!("no schema for format {kind}"))
}

/// Checks every file below `folder`; how many documents of each kind there were.
pub fn check_folder(folder: &Path) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for path in files(folder) {
        for document in documents(&path) {
            let kind = check(&document).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            *kinds.entry(kind).or_insert(0) += 1;
        }
    }
    kinds
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn documents(path: &Path) -> Vec<Value> {
    let bytes = || fs::read(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "jsonl") => {
            let stream = serde_json::Deserializer::from_slice(&bytes()).into_iter().collect();
            let documents: Result<Vec<Value>, _> = stream;
            let documents = documents.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            assert!(!documents.is_empty(), "{}: empty", path.display());
            documents
        }
        Some("safetensors") => vec![TensorFile::from_bytes(&bytes()).unwrap().description],
        _ => Vec::new(),
    }
}
