//! `cargo xtask images`: builds the test images and shows their pinned references.
use super::error::ImagesError;
use super::{ensure, index_path};
use crate::cache::Cache;
use crate::sh::print;

/// Builds the images of the test apps and pushes them to the nodes' registry.
#[derive(Debug, clap::Args)]
pub struct ImagesArgs {
    /// Only these images.
    names: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// Those of the builds.
pub fn run(args: &ImagesArgs) -> Result<(), ImagesError> {
    let cache = Cache::locate()?;
    for (name, image) in ensure(&cache, &args.names)? {
        print(&format!("{name:<14} {:<12} {}", image.tag, image.reference));
    }
    print(&format!("written to {}", index_path(&cache).display()));
    Ok(())
}
