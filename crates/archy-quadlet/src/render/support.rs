//! `.network`, `.volume` and `.build` files.
//!
//! Networks and volumes outlive a change of the manifest, so their text holds nothing that changes
//! with it: a restarted network would take down every container on it.

use archy_manifest::model::{ImageSource, NetworkMode, Service};
use archy_manifest::names;
use archy_types::ServiceName;

use super::{
    HEAD, LABEL_APP, LABEL_CONTEXT, LABEL_MANIFEST, LABEL_SERVICE, LABEL_SHARED, mounts, network,
    value,
};
use crate::error::RenderError;
use crate::escape::Value;
use crate::input::{RenderInput, UnitFile, UnitRole};
use crate::kind::FileKind;
use crate::unit::Unit;

/// Seconds that a build may take.
const BUILD_SECS: u32 = 3600;

/// The networks that the services join.
pub(super) fn networks(input: &RenderInput<'_>) -> Result<Vec<UnitFile>, RenderError> {
    let services = || input.manifest.services.values();
    let mut files = Vec::new();
    if services().any(|service| network::on_app_network(input, service)) {
        let name = names::network(&input.manifest.id);
        let label = format!("{LABEL_APP}={}", input.manifest.id);
        files.push(network_file(input, &name, false, &label)?);
    }
    if services().any(|service| service.network == NetworkMode::Shared) {
        let label = format!("{LABEL_SHARED}=true");
        files.push(network_file(input, names::SHARED_NETWORK, true, &label)?);
    }
    Ok(files)
}

fn network_file(
    input: &RenderInput<'_>,
    name: &str,
    shared: bool,
    label: &str,
) -> Result<UnitFile, RenderError> {
    let description = if shared {
        "Network that apps share".to_owned()
    } else {
        format!("Network of app {}", input.manifest.id)
    };
    let mut unit = support_unit(&description);
    let section = unit.section("Network");
    section.push("NetworkName", value(name, "network", Value::raw(name))?);
    section.push("Label", value(name, "label", Value::words([label]))?);
    // Containers that are only on other such networks cannot reach it, not even by address.
    section.push("Options", Value::fixed("isolate=true"));
    finish(&mut unit);
    Ok(UnitFile {
        file_name: FileKind::Network.file(name),
        unit: FileKind::Network.unit(name),
        role: UnitRole::Network { name: name.to_owned(), shared },
        text: super::text(&unit, input.host.podman)?,
    })
}

/// The named volumes.
pub(super) fn volumes(input: &RenderInput<'_>) -> Result<Vec<UnitFile>, RenderError> {
    let one = |(volume, settings): (&String, &archy_manifest::model::NamedVolume)| {
        let name = names::volume(&input.manifest.id, volume);
        let mut unit = support_unit(&format!("Volume {volume} of app {}", input.manifest.id));
        let section = unit.section("Volume");
        section.push("VolumeName", value(&name, "volume", Value::raw(&name))?);
        let label = format!("{LABEL_APP}={}", input.manifest.id);
        section.push("Label", value(&name, "label", Value::words([label]))?);
        if let Some(owner) = settings.owner {
            section.push("User", Value::number(owner.uid));
            section.push("Group", Value::number(owner.gid));
        }
        finish(&mut unit);
        Ok(UnitFile {
            file_name: FileKind::Volume.file(&name),
            unit: FileKind::Volume.unit(&name),
            text: super::text(&unit, input.host.podman)?,
            role: UnitRole::Volume(name),
        })
    };
    input.manifest.volumes.iter().map(one).collect()
}

/// The build of a service's image, when it has one. It is started before an install or update, not
/// with the container: a start must not wait for a build.
pub(super) fn build(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
) -> Result<Option<UnitFile>, RenderError> {
    let ImageSource::Build { context, containerfile, args } = &service.source else {
        return Ok(None);
    };
    if input.local_images.contains(name) {
        return Ok(None);
    }
    let container = names::container(input.manifest, name);
    let context_dir = mounts::package_path(input, name, context)?;
    let file = mounts::package_path(input, name, &format!("{context}/{containerfile}"))?;
    let mut unit =
        support_unit(&format!("Build of the image of service {name} of app {}", input.manifest.id));
    let section = unit.section("Build");
    let put = |field, text| value(name.as_str(), field, text);
    let tag = super::image(input, name, service)?;
    section.push("ImageTag", put("image", Value::raw(&tag))?);
    section.push("SetWorkingDirectory", put("build context", Value::raw(&context_dir))?);
    section.push("File", put("containerfile", Value::raw(&file))?);
    let context = input.contexts.get(name).map(|digest| (LABEL_CONTEXT, digest.clone()));
    let labels = [
        (LABEL_APP, input.manifest.id.to_string()),
        (LABEL_SERVICE, name.to_string()),
        (LABEL_MANIFEST, input.digest.to_string()),
    ];
    for (label, text) in labels.into_iter().chain(context) {
        section.push("Label", put("label", Value::words([format!("{label}={text}")]))?);
    }
    for (key, text) in args {
        let words = [format!("--build-arg={key}={text}")];
        section.push("PodmanArgs", put("build argument", Value::words(words))?);
    }
    if !input.host.controllers.iter().any(|controller| controller == "pids") {
        // Without that controller a step cannot have a cgroup of its own.
        section.push("PodmanArgs", Value::fixed("--isolation=chroot"));
    }
    unit.section("Service").push("TimeoutStartSec", Value::seconds(BUILD_SECS));
    finish(&mut unit);
    Ok(Some(UnitFile {
        file_name: FileKind::Build.file(&container),
        unit: FileKind::Build.unit(&container),
        role: UnitRole::Build(name.clone()),
        text: super::text(&unit, input.host.podman)?,
    }))
}

fn support_unit(description: &str) -> Unit {
    let mut unit = Unit::with_head(HEAD);
    unit.section("Unit").push("Description", Value::prose(description));
    unit
}

/// Takes off the generator's own dependency on the network, which waits up to 90 s at boot for a
/// target that a node may never reach.
fn finish(unit: &mut Unit) {
    unit.section("Quadlet").push("DefaultDependencies", Value::fixed("false"));
}
