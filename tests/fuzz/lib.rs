//! What the fuzz targets are about, without the crates around it.

pub mod subject;
pub mod targets;
