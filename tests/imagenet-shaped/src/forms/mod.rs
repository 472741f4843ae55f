//! The layouts that the images come in.

pub mod archives;
mod devkit;
pub mod folders;
pub mod parquet;
