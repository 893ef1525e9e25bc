//! Mounts of a container.
//!
//! `Volume=` is a raw key with `:` between its parts, and its source also ends in a
//! `RequiresMountsFor=` that the generator does not quote. So a path that is not plain goes the long
//! way round: `--volume=` among `PodmanArgs=`, with a quoted `RequiresMountsFor=` of our own.

use std::path::Path;

use archy_manifest::model::{Mount, MountSource, Service};
use archy_manifest::names;
use archy_manifest::template::Placeholder;
use archy_types::ServiceName;

use super::{PROBE_IN_CONTAINER, value};
use crate::error::RenderError;
use crate::escape::Value;
use crate::input::RenderInput;

/// What the mounts of a service add to its unit.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    /// Lines of `[Container]`.
    pub container: Vec<(&'static str, Value)>,
    /// Values of `RequiresMountsFor=` in `[Unit]`.
    pub required: Vec<Value>,
}

/// Renders the mounts of a service, that of the health probe among them.
pub(super) fn mounts(
    input: &RenderInput<'_>,
    name: &ServiceName,
    service: &Service,
    probe: bool,
) -> Result<Mounts, RenderError> {
    let mut out = Mounts::default();
    for mount in &service.mounts {
        out.add(input, name, mount)?;
    }
    if probe {
        out.bind(name, &path_text(name, &input.host.health_probe)?, PROBE_IN_CONTAINER, true)?;
    }
    Ok(out)
}

impl Mounts {
    fn add(
        &mut self,
        input: &RenderInput<'_>,
        name: &ServiceName,
        mount: &Mount,
    ) -> Result<(), RenderError> {
        let (target, read_only) = (mount.target.as_str(), mount.read_only);
        match &mount.source {
            MountSource::AppDir { path, .. } => {
                self.bind(name, &app_path(input, name, path)?, target, read_only)
            }
            MountSource::File(path) => self.bind(name, &app_path(input, name, path)?, target, true),
            MountSource::Package(path) => {
                let source = package_path(input, name, path)?;
                self.bind(name, &source, target, true)
            }
            MountSource::Role(role) => {
                let placeholder = Placeholder::RoleHost(role.clone());
                let Some(provider) = input.host.values.get(&placeholder) else {
                    return Err(RenderError::Role { service: name.clone(), role: role.clone() });
                };
                self.volume(name, &format!("{provider}-{role}"), target, true)
            }
            MountSource::Volume(volume) => {
                if !input.manifest.volumes.contains_key(volume) {
                    return Err(RenderError::Volume {
                        service: name.clone(),
                        volume: volume.clone(),
                    });
                }
                let unit = format!("{}.volume", names::volume(&input.manifest.id, volume));
                self.volume(name, &unit, target, read_only)
            }
            MountSource::Tmpfs { size_bytes, mode } => self.tmpfs(name, target, *size_bytes, *mode),
        }
    }

    fn bind(
        &mut self,
        name: &ServiceName,
        source: &str,
        target: &str,
        read_only: bool,
    ) -> Result<(), RenderError> {
        self.volume(name, source, target, read_only)?;
        if !is_plain(source) || !is_plain(target) {
            self.required.push(value(name.as_str(), "mount", Value::list([source]))?);
        }
        Ok(())
    }

    fn volume(
        &mut self,
        name: &ServiceName,
        source: &str,
        target: &str,
        read_only: bool,
    ) -> Result<(), RenderError> {
        check_target(name, target)?;
        let end = if read_only { ":ro" } else { "" };
        self.option(name, "Volume", "--volume", &format!("{source}:{target}{end}"), |text| {
            text.split(':').all(is_plain)
        })
    }

    fn tmpfs(
        &mut self,
        name: &ServiceName,
        target: &str,
        size_bytes: Option<u64>,
        mode: Option<u32>,
    ) -> Result<(), RenderError> {
        check_target(name, target)?;
        let size = size_bytes.map(|bytes| format!("size={bytes}"));
        let mode = mode.map(|mode| format!("mode={mode:04o}"));
        let options: Vec<String> = size.into_iter().chain(mode).collect();
        let end =
            if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
        self.option(name, "Tmpfs", "--tmpfs", &format!("{target}{end}"), |text| {
            text.split([':', ',']).all(is_plain)
        })
    }

    fn option(
        &mut self,
        name: &ServiceName,
        key: &'static str,
        flag: &str,
        text: &str,
        plain: impl Fn(&str) -> bool,
    ) -> Result<(), RenderError> {
        let (key, escaped) = if plain(text) {
            (key, Value::raw(text))
        } else {
            ("PodmanArgs", Value::words([format!("{flag}={text}")]))
        };
        self.container.push((key, value(name.as_str(), "mount", escaped)?));
        Ok(())
    }
}

/// True for a path that every reader on the way takes as it stands.
fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "_./@+=,~-".contains(c))
}

fn bad_path(name: &ServiceName, path: &str, reason: &'static str) -> RenderError {
    RenderError::Path { service: name.clone(), path: path.to_owned(), reason }
}

fn check_target(name: &ServiceName, target: &str) -> Result<(), RenderError> {
    if !target.starts_with('/') {
        return Err(bad_path(name, target, "is not absolute"));
    }
    check_characters(name, target)
}

fn check_characters(name: &ServiceName, path: &str) -> Result<(), RenderError> {
    if path.contains(':') {
        return Err(bad_path(name, path, "has a colon, which Podman takes for a separator"));
    }
    if path.contains(char::is_control) {
        return Err(bad_path(name, path, "has a control character"));
    }
    Ok(())
}

fn path_text(name: &ServiceName, path: &Path) -> Result<String, RenderError> {
    let text = path.to_string_lossy().into_owned();
    if path.to_str().is_none() {
        return Err(bad_path(name, &text, "is not UTF-8"));
    }
    if !path.is_absolute() {
        return Err(bad_path(name, &text, "is not absolute"));
    }
    check_characters(name, &text)?;
    // The generator takes a source that ends like a unit file for one.
    Ok(if text.ends_with(".volume") { format!("{text}/.") } else { text })
}

/// A path in the app's data directory; the directory itself when `path` is empty.
fn app_path(
    input: &RenderInput<'_>,
    name: &ServiceName,
    path: &str,
) -> Result<String, RenderError> {
    let directory = input.host.data_dir.join(input.manifest.id.as_str());
    path_text(name, &inside(name, &directory, path)?)
}

/// A path in the app's package.
pub(super) fn package_path(
    input: &RenderInput<'_>,
    name: &ServiceName,
    path: &str,
) -> Result<String, RenderError> {
    let directory = input
        .package_dir
        .as_deref()
        .ok_or_else(|| RenderError::Package { service: name.clone(), path: path.to_owned() })?;
    path_text(name, &inside(name, directory, path)?)
}

fn inside(
    name: &ServiceName,
    directory: &Path,
    path: &str,
) -> Result<std::path::PathBuf, RenderError> {
    let mut out = directory.to_owned();
    for part in Path::new(path).components() {
        match part {
            std::path::Component::Normal(part) => out.push(part),
            std::path::Component::CurDir => {}
            _ => return Err(bad_path(name, path, "leads out of the app's directory")),
        }
    }
    Ok(out)
}

/// Mounts of secrets as files: only root and the container's user may read them.
pub(super) fn secret_files(
    name: &ServiceName,
    service: &Service,
) -> Result<Vec<Value>, RenderError> {
    let one = |(secret, target): (&String, &String)| {
        check_target(name, target)?;
        if target.contains(',') {
            return Err(bad_path(name, target, "has a comma, which Podman takes for a separator"));
        }
        let text = format!("{secret},type=mount,target={target},mode=0400{}", owner(service));
        value(name.as_str(), "secret file", Value::words([text]))
    };
    service.secret_files.iter().map(one).collect()
}

/// Owner of a secret's file: the container's user when it is written as numbers.
fn owner(service: &Service) -> String {
    let user = service.user.as_deref().unwrap_or_default();
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    match (uid.parse::<u32>(), gid.parse::<u32>()) {
        (Ok(uid), Ok(gid)) => format!(",uid={uid},gid={gid}"),
        (Ok(uid), Err(_)) => format!(",uid={uid}"),
        _ => String::new(),
    }
}
