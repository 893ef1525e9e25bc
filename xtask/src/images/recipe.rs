//! The table of images and what each of them is made of.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ImagesError;
use crate::cache::{at, recipe_hash};

/// Prefix of the images a Containerfile may start from.
const LOCAL: &str = "localhost/archy/";
/// The image all others start from; built from a root file system, not from the table.
pub(super) const BASE: &str = "base";

/// One image of the table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    pub name: String,
    /// Repository below `archy/`; the name when not given.
    pub repo: Option<String>,
    pub tag: String,
    pub dir: String,
    /// Directory of a Rust program of ours that goes in.
    pub bin: Option<String>,
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// A long compilation: built beside the others.
    #[serde(default)]
    pub slow: bool,
}

/// The table of images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    image: Vec<Image>,
    #[serde(skip)]
    dir: PathBuf,
}

impl Table {
    /// Reads `tests/images/images.toml`.
    pub(super) fn load() -> Result<Self, ImagesError> {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/images"))
    }

    fn read(dir: &Path) -> Result<Self, ImagesError> {
        let dir = dir.canonicalize().map_err(at("cannot find", dir))?;
        let path = dir.join("images.toml");
        let text = fs::read_to_string(&path).map_err(at("cannot read", &path))?;
        let mut table: Self =
            toml::from_str(&text).map_err(|error| ImagesError::Table(error.to_string()))?;
        table.image.push(Image {
            name: BASE.into(),
            repo: None,
            tag: crate::node::recipe::SUITE.into(),
            dir: BASE.into(),
            bin: None,
            args: BTreeMap::new(),
            slow: false,
        });
        table.dir = dir;
        Ok(table)
    }

    /// Directory of the build contexts.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The image of a name.
    pub(super) fn get(&self, name: &str) -> Result<&Image, ImagesError> {
        let found = self.image.iter().find(|image| image.name == name);
        found.ok_or_else(|| ImagesError::Unknown { name: name.to_owned() })
    }

    /// The named images, or all but the base, each after those it is made from.
    pub(super) fn select(&self, names: &[String]) -> Result<Vec<&Image>, ImagesError> {
        let all = || self.image.iter().filter(|image| image.name != BASE).map(|i| i.name.clone());
        let names: Vec<String> = if names.is_empty() { all().collect() } else { names.to_vec() };
        let mut order = Vec::new();
        for name in &names {
            self.visit(self.get(name)?, &mut order, &mut Vec::new())?;
        }
        order.iter().map(|name| self.get(name)).collect()
    }

    fn visit(
        &self,
        image: &Image,
        order: &mut Vec<String>,
        above: &mut Vec<String>,
    ) -> Result<(), ImagesError> {
        if above.contains(&image.name) {
            return Err(ImagesError::Cycle { name: image.name.clone() });
        }
        if !order.contains(&image.name) {
            above.push(image.name.clone());
            for parent in self.parents(image)? {
                self.visit(self.get(&parent)?, order, above)?;
            }
            above.pop();
            order.push(image.name.clone());
        }
        Ok(())
    }

    /// The images of the table an image starts from.
    pub(super) fn parents(&self, image: &Image) -> Result<Vec<String>, ImagesError> {
        let path = self.dir.join(&image.dir).join("Containerfile");
        let text = fs::read_to_string(&path).map_err(at("cannot read", &path))?;
        let from = |line: &str| {
            let name = line.strip_prefix("FROM ")?.trim_start().strip_prefix(LOCAL)?;
            name.split_whitespace().next().map(str::to_owned)
        };
        let mut parents: Vec<String> = text.lines().filter_map(from).collect();
        parents.dedup();
        Ok(parents)
    }

    /// A hash over everything an image is made of, its parents included.
    pub(super) fn hash(&self, image: &Image) -> Result<String, ImagesError> {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        parts.push(format!("{:?}", (&image.args, &image.tag)).into_bytes());
        let dirs = [Some(&image.dir), image.bin.as_ref().filter(|bin| **bin != image.dir)];
        for dir in dirs.into_iter().flatten() {
            contents(&self.dir.join(dir), &mut parts)?;
        }
        if image.name == BASE {
            parts.push(super::rootfs::fingerprint().into_bytes());
        }
        for parent in self.parents(image)? {
            parts.push(self.hash(self.get(&parent)?)?.into_bytes());
        }
        Ok(recipe_hash(parts.iter().map(Vec::as_slice)))
    }
}

/// Names, modes and content of all files below a directory, in a fixed order.
fn contents(dir: &Path, parts: &mut Vec<Vec<u8>>) -> Result<(), ImagesError> {
    let entries = fs::read_dir(dir).map_err(at("cannot list", dir))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                contents(&path, parts)?;
            }
            continue;
        }
        parts.push(path.file_name().unwrap_or_default().as_encoded_bytes().to_vec());
        parts.push(fs::read(&path).map_err(at("cannot read", &path))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_every_parent_comes_first() {
        let table = Table::load().unwrap();
        let order: Vec<&str> = table.select(&[]).unwrap().iter().map(|i| i.name.as_str()).collect();
        let place = |name: &str| order.iter().position(|other| *other == name).unwrap();
        for name in &order {
            let image = table.get(name).unwrap();
            assert!(table.dir().join(&image.dir).join("Containerfile").exists(), "{name}");
            for parent in table.parents(image).unwrap() {
                assert!(place(&parent) < place(name), "{parent} before {name}");
            }
        }
        assert!(table.select(&["no-such-image".into()]).is_err());
    }

    #[test]
    fn a_change_below_changes_what_is_made_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put(
            "images.toml",
            "[[image]]\nname='a'\ntag='1'\ndir='a'\n[[image]]\nname='b'\ntag='1'\ndir='b'\n",
        );
        put("base/Containerfile", "FROM scratch\n");
        put("a/Containerfile", "FROM localhost/archy/base\n");
        put("b/Containerfile", "FROM localhost/archy/a AS x\n");
        let hash = |name: &str| {
            let table = Table::read(dir.path()).unwrap();
            table.hash(table.get(name).unwrap()).unwrap()
        };
        let before = (hash("a"), hash("b"));
        assert_eq!(before, (hash("a"), hash("b")));
        put("a/more", "x");
        assert_ne!(before.0, hash("a"));
        assert_ne!(before.1, hash("b"));
        put("a/Containerfile", "FROM localhost/archy/b\n");
        let table = Table::read(dir.path()).unwrap();
        assert_eq!(table.select(&[]).unwrap_err().code(), "images.cycle");
    }
}
