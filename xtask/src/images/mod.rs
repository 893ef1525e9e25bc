//! OCI images of real software for the test nodes, and the registry they pull from.
//!
//! [`ensure`] builds what is missing or out of date out of `tests/images`, pushes it to the registry in the nodes'
//! network and writes `images.json` into the cache. [`reference`] names an image by digest.
mod build;
pub mod cli;
mod error;
mod program;
mod recipe;
pub mod registry;
mod rootfs;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::error::ImagesError;
use crate::cache::{Cache, write_whole};

/// An image in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Registry and repository.
    pub repo: String,
    /// Its tag.
    pub tag: String,
    /// Digest of its manifest as the registry has it, `sha256:...`.
    pub digest: String,
    /// `repo@digest`.
    pub reference: String,
}

/// All images by name.
pub type Index = BTreeMap<String, Pinned>;

/// Builds and pushes images, all or the named ones; what is up to date is left. The registry runs afterwards.
///
/// # Errors
/// When the machine cannot run nodes, a name is unknown or a build fails.
pub fn ensure(cache: &Cache, names: &[String]) -> Result<Index, ImagesError> {
    let table = recipe::Table::load()?;
    let wanted = table.select(names)?;
    let _hold = registry::ensure(cache)?;
    let _one_at_a_time = cache.lock("images")?;
    let built = build::all(cache, &table, &wanted)?;
    let mut index = self::index(cache).unwrap_or_default();
    index.retain(|name, _| table.get(name).is_ok());
    index.extend(built);
    let text = serde_json::to_vec_pretty(&index).unwrap_or_default();
    write_whole(&index_path(cache), &text)?;
    Ok(index)
}

/// The test app of our own as a static program on this machine, compiled when it has changed.
///
/// # Errors
/// When it does not compile.
pub fn probe(cache: &Cache) -> Result<PathBuf, ImagesError> {
    let table = recipe::Table::load()?;
    Ok(program::program(cache, table.dir(), "probe")?.join("probe"))
}

/// The pinned reference of an image that was built.
///
/// # Errors
/// When it was not.
pub fn reference(cache: &Cache, name: &str) -> Result<String, ImagesError> {
    let missing = || ImagesError::NotBuilt { name: name.to_owned() };
    let mut index = index(cache).ok_or_else(missing)?;
    index.remove(name).map(|image| image.reference).ok_or_else(missing)
}

/// All images that were built; `None` before the first build.
pub fn index(cache: &Cache) -> Option<Index> {
    serde_json::from_str(&fs::read_to_string(index_path(cache)).ok()?).ok()
}

/// Where the index lies: `images.json` in the cache.
pub fn index_path(cache: &Cache) -> PathBuf {
    cache.root().join("images.json")
}
