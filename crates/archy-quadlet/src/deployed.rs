//! What is in the user's Quadlet directory: whose files they are, read from their labels.
//!
//! With the manifests beside it, this is enough to find a node's apps again when the store is lost,
//! and to tell files of the platform from those of the owner.

use std::collections::{BTreeMap, BTreeSet};

use archy_types::{AppId, Digest, Generation, ServiceName};

use crate::input::UnitRole;
use crate::kind::FileKind;
use crate::render::{
    LABEL_APP, LABEL_ENV_HASH, LABEL_GENERATION, LABEL_MANIFEST, LABEL_SERVICE, LABEL_SHARED,
};
use crate::unit::{ParseError, Unit};

/// True when two texts of a unit file are the same: drift is a comparison of text, byte by byte.
#[must_use]
pub fn same(rendered: &str, deployed: &str) -> bool {
    rendered == deployed
}

/// What a Quadlet directory holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deployed {
    /// Apps by id.
    pub apps: BTreeMap<AppId, DeployedApp>,
    /// Files of the platform that belong to no single app.
    pub shared: Vec<DeployedFile>,
    /// Names of files that are not the platform's.
    pub foreign: Vec<String>,
    /// Names of files that cannot be read as units, and why.
    pub broken: Vec<(String, ParseError)>,
}

/// Files of one app.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeployedApp {
    /// Its files by name.
    pub files: Vec<DeployedFile>,
    /// Newest generation among its containers; older ones are left from a change that was cut short.
    pub generation: Option<Generation>,
    /// Digests of the manifests that its containers were rendered from: one, unless a change was
    /// cut short.
    pub manifests: BTreeSet<Digest>,
    /// True when some container starts at boot.
    pub enabled: bool,
}

/// One file of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployedFile {
    /// File name.
    pub file_name: String,
    /// The systemd unit that Podman's generator makes of it.
    pub unit: String,
    /// What it is for.
    pub role: UnitRole,
    /// Generation that it was rendered for.
    pub generation: Option<Generation>,
    /// Manifest that it was rendered from.
    pub manifest: Option<Digest>,
    /// Keyed hash of its secrets.
    pub env_hash: Option<String>,
    /// Reference of the image, of containers and builds.
    pub image: Option<String>,
}

/// Reads the files of a Quadlet directory: file name to text.
#[must_use]
pub fn parse_deployed(files: &BTreeMap<String, String>) -> Deployed {
    let mut out = Deployed::default();
    for (name, text) in files {
        let unit = match Unit::parse(text) {
            Ok(unit) => unit,
            Err(error) => {
                out.broken.push((name.clone(), error));
                continue;
            }
        };
        match owner(name, &unit) {
            Some((Owner::App(app), file)) => out.apps.entry(app).or_default().add(file, &unit),
            Some((Owner::Shared, file)) => out.shared.push(file),
            None => out.foreign.push(name.clone()),
        }
    }
    out
}

enum Owner {
    App(AppId),
    Shared,
}

impl DeployedApp {
    fn add(&mut self, file: DeployedFile, unit: &Unit) {
        if matches!(file.role, UnitRole::Container(_)) {
            self.generation = self.generation.max(file.generation);
            self.manifests.extend(file.manifest);
            self.enabled |= unit.value("Install", "WantedBy").is_some();
        }
        self.files.push(file);
    }
}

/// Whose file it is and what for; nothing when it does not carry the platform's labels.
fn owner(file_name: &str, unit: &Unit) -> Option<(Owner, DeployedFile)> {
    let (stem, kind) = FileKind::split(file_name)?;
    let section = kind.section();
    let label = |name: &str| unit.assignment(section, "Label", name);
    let raw = |key: &str| unit.value(section, key).map(crate::escape::Value::read_raw);
    let service = || label(LABEL_SERVICE).and_then(|name| ServiceName::new(name).ok());
    let owner = match label(LABEL_APP) {
        Some(app) => Owner::App(AppId::new(app).ok()?),
        None => label(LABEL_SHARED).map(|_| Owner::Shared)?,
    };
    let shared = matches!(owner, Owner::Shared);
    let role = match kind {
        FileKind::Container => UnitRole::Container(service()?),
        FileKind::Build => UnitRole::Build(service()?),
        FileKind::Volume => UnitRole::Volume(raw("VolumeName")?),
        FileKind::Network => UnitRole::Network { name: raw("NetworkName")?, shared },
    };
    let file = DeployedFile {
        file_name: file_name.to_owned(),
        unit: kind.unit(stem),
        role,
        generation: label(LABEL_GENERATION).and_then(|text| text.parse().ok()).map(Generation),
        manifest: label(LABEL_MANIFEST).and_then(|text| text.parse().ok()),
        env_hash: label(LABEL_ENV_HASH),
        image: raw("Image").or_else(|| raw("ImageTag")),
    };
    Some((owner, file))
}
