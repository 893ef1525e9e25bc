//! From a manifest and facts about the host to the exact text of the app's units.

mod container;
mod env;
mod limits;
mod mounts;
mod network;
mod order;
mod service;
mod support;

pub use env::{Composed, composed};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use archy_manifest::model::{ImageSource, Service};
use archy_manifest::names;
use archy_types::{AppId, PodmanVersion, ServiceName};

use crate::error::RenderError;
use crate::escape::{EscapeError, Value};
use crate::input::{Deployment, RenderInput, UnitFile};
use crate::keys;
use crate::unit::Unit;

/// First line of every file.
const HEAD: &str = "Written by Archipelago from the app's manifest; changes here are replaced.";

/// Label that names the app.
pub const LABEL_APP: &str = "io.archipelago.app";
/// Label that names the service.
pub const LABEL_SERVICE: &str = "io.archipelago.service";
/// Label with the generation of the desired state.
pub const LABEL_GENERATION: &str = "io.archipelago.generation";
/// Label with the manifest's digest.
pub const LABEL_MANIFEST: &str = "io.archipelago.manifest";
/// Label with the keyed hash of the secrets.
pub const LABEL_ENV_HASH: &str = "io.archipelago.env-hash";
/// Label of things that belong to no single app.
pub const LABEL_SHARED: &str = "io.archipelago.shared";

/// Label of a built image: digest of what was in its context.
pub const LABEL_CONTEXT: &str = "io.archipelago.context";
/// Characters of a context's digest in the tag of its image.
const SHORT_DIGEST: usize = 12;
/// Where the health probe is in a container.
pub const PROBE_IN_CONTAINER: &str = "/run/archy-health";

/// Directory of the containers' logs, which must exist before a start.
#[must_use]
pub fn log_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("logs")
}

/// Log of a container. It outlives the container, so that a crash can be read afterwards.
#[must_use]
pub fn log_file(data_dir: &Path, container: &str) -> PathBuf {
    log_dir(data_dir).join(format!("{container}.log"))
}

/// Name of the Podman secret that holds a setting of kind `secret`.
///
/// A unit refers to it when the input's `config` has the key; the value there is not looked at, so
/// it can be a mere mark that the owner has set it.
#[must_use]
pub fn config_secret_name(app: &AppId, key: &str) -> String {
    format!("{app}-config-{key}")
}

/// Renders an app's units.
///
/// # Errors
/// What this host or this manifest cannot have; nothing is left out silently.
pub fn render(input: &RenderInput<'_>) -> Result<Deployment, RenderError> {
    if input.host.podman < PodmanVersion::FLOOR {
        return Err(RenderError::PodmanTooOld(input.host.podman));
    }
    let mut deployment = Deployment::default();
    deployment.files.extend(support::networks(input)?);
    deployment.files.extend(support::volumes(input)?);
    let order = order::by_dependency(input.manifest)?;
    for (name, service) in &order {
        if let Some(file) = support::build(input, name, service)? {
            deployment.files.push(file);
        }
    }
    for (name, service) in &order {
        let image = image(input, name, service)?;
        deployment.files.push(container::file(input, name, service, &image)?);
        deployment.not_enforced.extend(limits::not_enforced(input, name, service));
        deployment.images.insert((*name).clone(), image);
    }
    deployment.composed = composed(input)?;
    unique_units(&deployment.files)?;
    Ok(deployment)
}

/// The image that the owner made in place of the one that a service's build makes.
#[must_use]
pub fn local_image(container: &str) -> String {
    format!("localhost/{container}:local")
}

/// Reference of a service's image; a built one is tagged with the digests of the manifest and of
/// what is in its context, so that another manifest or context is another image.
fn image(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<String, RenderError> {
    match &service.source {
        ImageSource::Image(image)
            if [".image", ".build"].iter().any(|end| image.ends_with(end)) =>
        {
            Err(RenderError::Image { service: name.clone(), image: image.clone() })
        }
        ImageSource::Image(image) => Ok(image.clone()),
        ImageSource::Build { .. } => {
            let container = names::container(input.manifest, name);
            if input.local_images.contains(name) {
                return Ok(local_image(&container));
            }
            let context = input.contexts.get(name).map(|digest| format!("-{}", short(digest)));
            let context = context.unwrap_or_default();
            Ok(format!("localhost/{container}:{}{context}", input.digest.short()))
        }
    }
}

/// True for a tag that a build of an app's image gives.
#[must_use]
pub fn is_build_tag(tag: &str) -> bool {
    let hex = |text: &str| {
        text.len() == SHORT_DIGEST && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match tag.split_once('-') {
        Some((manifest, context)) => hex(manifest) && hex(context),
        None => hex(tag),
    }
}

/// As much of a digest as tells contexts apart.
fn short(digest: &str) -> &str {
    digest.get(..SHORT_DIGEST).unwrap_or(digest)
}

fn unique_units(files: &[UnitFile]) -> Result<(), RenderError> {
    let mut seen = BTreeSet::new();
    match files.iter().find(|file| !seen.insert(&file.unit)) {
        None => Ok(()),
        Some(file) => Err(RenderError::NameClash { unit: file.unit.clone() }),
    }
}

/// Names the place in an error about a value.
fn value(
    place: &str,
    field: &str,
    value: Result<Value, EscapeError>,
) -> Result<Value, RenderError> {
    value.map_err(|source| RenderError::Value {
        place: place.to_owned(),
        field: field.to_owned(),
        source,
    })
}

/// The text of a unit whose keys the host's Podman knows.
fn text(unit: &Unit, podman: PodmanVersion) -> Result<String, RenderError> {
    for section in unit.sections() {
        for (key, _) in section.entries() {
            if !keys::known(section.name(), key, podman) {
                return Err(RenderError::Key {
                    section: section.name().to_owned(),
                    key: key.to_owned(),
                    podman,
                });
            }
        }
    }
    Ok(unit.to_string())
}
