//! Mounts and named volumes.

use std::collections::{BTreeMap, HashSet};

use super::nested::{Kind, Placed};
use super::{Rules, Written};
use crate::check::shorten;
use crate::model::{Mount, MountSource, NamedVolume, Owner};
use crate::path::Path;
use crate::schema::{self, MountType, parse_size};

const ENGINE_SOCKETS: &[&str] =
    &["docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock"];

/// What the options of a mount say.
#[derive(Default)]
struct Options {
    read_only: bool,
    size: Option<u64>,
    mode: Option<u32>,
}

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn named_volumes(&mut self) -> BTreeMap<String, NamedVolume> {
        let mut out = BTreeMap::new();
        for (name, volume) in &self.app.named_volumes {
            let path = self.root.key("named_volumes").key(name);
            if let Err(error) = archy_types::id::check_dns_label(name) {
                let message = format!("the volume's name {:?} {error}", shorten(name));
                self.error("invalid-id", &path, message, "use a-z, 0-9 and -, for example `data`");
            }
            let owner = self.owner(volume.owner.as_deref(), &path.key("owner"));
            out.insert(name.clone(), NamedVolume { owner });
        }
        out
    }

    pub(super) fn mounts(&mut self, written: &Written<'d>) -> Vec<Mount> {
        let data_uid = written.container.data_uid.as_deref();
        let data_owner = self.owner(data_uid, &written.path.key("data_uid"));
        let inside = written.path.key("volumes");
        let beside = self.root.key("volumes");
        let outer = written.beside.map_or(&[][..], |app| &app.volumes);
        let all: Vec<_> = (written.container.volumes.iter().enumerate())
            .map(|(index, mount)| (inside.index(index), mount))
            .chain(outer.iter().enumerate().map(|(index, mount)| (beside.index(index), mount)))
            .collect();
        let mut out = Vec::new();
        let mut targets = HashSet::new();
        for (path, mount) in all {
            let Some(lowered) = self.mount(mount, &path, data_owner) else { continue };
            if !targets.insert(lowered.target.clone()) {
                let message = format!("two mounts at `{}`", shorten(&lowered.target));
                self.error("duplicate-target", &path.key("target"), message, "keep one of the two");
            }
            self.place(&lowered, &path);
            out.push(lowered);
        }
        out
    }

    fn place(&mut self, mount: &Mount, path: &Path) {
        let (data, kind) = match &mount.source {
            MountSource::AppDir { path, .. } => (path, Kind::Bind { writable: !mount.read_only }),
            MountSource::File(path) => (path, Kind::Mounted),
            _ => return,
        };
        self.placed.push(Placed { at: path.key("source"), data: data.clone(), kind });
    }

    fn mount(&mut self, mount: &schema::Mount, path: &Path, data: Option<Owner>) -> Option<Mount> {
        let options = self.mount_options(mount, path);
        let target = self.container_path(&mount.target, &path.key("target"));
        if target.as_deref() == Some("/") {
            let message = "the root of the container cannot be mounted over";
            self.error("invalid-path", &path.key("target"), message, "name a directory below `/`");
        }
        let kind = mount.kind.unwrap_or(MountType::Bind);
        let owner = self.owner(mount.owner.as_deref(), &path.key("owner")).or(data);
        let source = match (kind, mount.source.as_deref()) {
            (MountType::Tmpfs, source) => {
                if source.is_some_and(|source| !matches!(source, "" | "tmpfs" | "none")) {
                    let message = "memory has no source";
                    self.warn("useless-key", &path.key("source"), message, "delete it");
                }
                Some(MountSource::Tmpfs { size_bytes: options.size, mode: options.mode })
            }
            (_, None) => {
                let message = "`source` is missing";
                self.error("missing-key", &path.key("source"), message, "add `source:`");
                None
            }
            (kind, Some(source)) => self.mount_source(kind, source, &path.key("source"), owner),
        };
        let read_only = options.read_only || matches!(kind, MountType::Package | MountType::Role);
        Some(Mount { source: source?, target: target?, read_only })
    }

    fn mount_source(
        &mut self,
        kind: MountType,
        source: &str,
        path: &Path,
        owner: Option<Owner>,
    ) -> Option<MountSource> {
        if ENGINE_SOCKETS.iter().any(|socket| source.trim_end_matches('/').ends_with(socket)) {
            let message = "the container engine's socket would hand over the node";
            self.error("engine-socket", path, message, "delete the mount");
            return None;
        }
        match kind {
            MountType::Bind => {
                self.data_path(source, path).map(|path| MountSource::AppDir { path, owner })
            }
            MountType::Package => self.package_path(source, path).map(MountSource::Package),
            MountType::Role => {
                self.role_ref(source, path);
                Some(MountSource::Role(source.to_owned()))
            }
            MountType::File => {
                let file = self.data_file(source, path)?;
                if !self.files.iter().any(|known| known.path == file) {
                    let message = format!("`{}` is not in `files`", shorten(&file));
                    self.error("undeclared-file", path, message, "add it to `files`");
                }
                Some(MountSource::File(file))
            }
            MountType::Volume => {
                let volumes = &self.app.named_volumes;
                if !volumes.contains_key(source) {
                    let near = crate::check::nearest(source, volumes.keys().map(String::as_str));
                    let mend = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("add `{}: {{}}` to `named_volumes`", shorten(source)),
                    };
                    let message = format!("the volume `{}` is not declared", shorten(source));
                    self.error("undeclared-volume", path, message, mend);
                }
                Some(MountSource::Volume(source.to_owned()))
            }
            MountType::Tmpfs => None,
        }
    }

    fn mount_options(&mut self, mount: &schema::Mount, path: &Path) -> Options {
        let mut out = Options { read_only: false, size: mount.size.map(|size| size.0), mode: None };
        if let Some(text) = &mount.mode {
            out.mode = self.mode(text, &path.key("mode"));
        }
        for (index, option) in mount.options.iter().enumerate() {
            let here = path.key("options").index(index);
            match option.split_once('=').unwrap_or((option, "")) {
                ("ro" | "readonly", _) => out.read_only = true,
                ("rw" | "z" | "Z" | "nodev" | "nosuid" | "noexec" | "rbind" | "bind", "") => {}
                ("size", text) if parse_size(text).is_some() => out.size = parse_size(text),
                ("mode", text) => out.mode = self.mode(text, &here),
                _ => {
                    let message = format!("unknown option `{}`; it has no effect", shorten(option));
                    self.warn("unknown-option", &here, message, "use `rw` or `ro`");
                }
            }
        }
        out.read_only = mount.read_only.unwrap_or(out.read_only);
        out
    }

    /// `uid` or `uid:gid`.
    pub(super) fn owner(&mut self, text: Option<&str>, path: &Path) -> Option<Owner> {
        let text = text?;
        let (uid, gid) = text.split_once(':').unwrap_or((text, text));
        let number = |part: &str| part.parse::<u32>().ok().filter(|id| *id <= 65_535);
        match (number(uid), number(gid)) {
            (Some(uid), Some(gid)) => Some(Owner { uid, gid }),
            _ => {
                let message = format!("`{}` is not an owner in the container", shorten(text));
                let mend =
                    "write `uid` or `uid:gid` with numbers up to 65535, for example 1000:1000";
                self.strict("invalid-owner", path, message, mend);
                None
            }
        }
    }
}
