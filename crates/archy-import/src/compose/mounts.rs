//! Volumes, tmpfs, secrets and configs of a service.

use archy_manifest::model::SecretKind;
use archy_manifest::schema::{File, Mount, MountType, Size};

use super::Project;
use crate::draft::{Draft, Svc, label};
use crate::expr::{Atom, Expr, Root};
use crate::source;
use crate::value::Value;

/// Sockets of container engines.
const SOCKETS: &[&str] =
    &["docker.sock", "podman.sock", "containerd.sock", "crio.sock", "buildkitd.sock"];
/// Files with the host's time zone.
const CLOCK: &[&str] = &["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"];
/// Directories of the host's system.
const SYSTEM: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys",
    "/tmp", "/usr", "/var",
];
/// Directories below the host's system that hold data of single programs.
const PROGRAMS: &str = "/var/lib/";
/// Programs whose data is the host's system all the same.
const SYSTEM_PROGRAMS: &[&str] =
    &["archipelago", "containers", "containerd", "dbus", "docker", "dpkg", "systemd"];
/// Endings of names that are files.
const FILE_ENDINGS: &[&str] = &[
    "bash",
    "cfg",
    "cnf",
    "conf",
    "config",
    "crt",
    "css",
    "csv",
    "env",
    "html",
    "ini",
    "js",
    "json",
    "key",
    "lua",
    "list",
    "md",
    "pem",
    "php",
    "properties",
    "py",
    "rules",
    "sh",
    "sql",
    "svg",
    "template",
    "toml",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// A mount as written.
#[derive(Debug, Default)]
struct Written {
    kind: String,
    source: Option<Expr>,
    target: String,
    read_only: bool,
    size: Option<u64>,
    mode: Option<String>,
}

/// Where a source lies.
enum Place {
    Own(String),
    Shared(String),
    App(String, String),
    Volume(String),
    Role(String),
    Device(String),
    Clock,
    Moved(String, String),
    Refused(&'static str, String),
}

/// Reads the volumes of a service.
pub(super) fn volumes(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    project: &Project,
    value: &Value,
    place: &str,
) {
    for (index, item) in value.items().iter().enumerate() {
        let place = format!("{place}[{index}]");
        let written = match item {
            Value::Scalar { text, .. } => {
                let expr = draft.expr(text, &place);
                short(draft, &expr, &place)
            }
            Value::Map(_) => long(draft, item, &place),
            _ => None,
        };
        match written {
            Some(written) if written.kind == "tmpfs" => memory(svc, written),
            Some(written) => mount(draft, svc, project, written, &place),
            None => draft.find("unreadable", &place, format!("is no mount: {}", item.brief())),
        }
    }
}

/// `[source:]target[:options]`, where parts of the source may be filled in.
fn short(draft: &mut Draft<'_>, expr: &Expr, place: &str) -> Option<Written> {
    let mut parts: Vec<Expr> = vec![Expr::default()];
    for atom in expr.atoms() {
        let Atom::Text(text) = atom else {
            parts.last_mut()?.push(atom.clone());
            continue;
        };
        for (index, piece) in text.split(':').enumerate() {
            if index > 0 {
                parts.push(Expr::default());
            }
            parts.last_mut()?.push(Atom::Text(piece.to_owned()));
        }
    }
    let mut out = Written { kind: "bind".to_owned(), ..Written::default() };
    let target = match parts.len() {
        1 => parts.first()?.clone(),
        2 | 3 => {
            out.source = parts.first().cloned();
            let options = parts.get(2).and_then(Expr::as_text).unwrap_or_default();
            for option in options.split(',').filter(|option| !option.is_empty()) {
                match option {
                    "ro" | "readonly" => out.read_only = true,
                    "rw" | "z" | "Z" | "delegated" | "cached" | "consistent" | "nocopy" => {}
                    "U" | "rbind" | "bind" | "private" | "rprivate" => {}
                    other => {
                        let message = format!("the mount option {other} has no meaning here");
                        draft.find("dropped-key", place, message);
                    }
                }
            }
            parts.get(1)?.clone()
        }
        _ => return None,
    };
    out.target = draft.plain_expr(&target, place)?;
    Some(out)
}

fn long(draft: &mut Draft<'_>, value: &Value, place: &str) -> Option<Written> {
    let target = draft.plain(value.text_of("target")?, place)?;
    let source = value.text_of("source").map(str::to_owned);
    let tmpfs = value.get("tmpfs");
    let size = tmpfs.and_then(|t| t.text_of("size")).and_then(super::resources::bytes);
    for key in value.as_map()?.keys() {
        let known =
            ["type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"];
        if !known.contains(&key.as_str()) && !key.starts_with("x-") {
            draft.find("unknown-key", place, format!("`{key}` is no part of a mount"));
        }
    }
    if value.get("volume").is_some_and(|v| v.get("subpath").is_some()) {
        draft.find("unsupported-key", place, "a part of a volume cannot be mounted");
    }
    Some(Written {
        kind: value.text_of("type").unwrap_or("bind").to_owned(),
        source: source.map(|source| draft.expr(&source, place)),
        target,
        read_only: value.get("read_only").is_some_and(Value::is_true),
        size,
        mode: tmpfs.and_then(|t| t.text_of("mode")).map(str::to_owned),
    })
}

/// Reads `tmpfs`: paths with options.
pub(super) fn tmpfs(draft: &mut Draft<'_>, svc: &mut Svc, value: &Value, place: &str) {
    for item in value.items() {
        let Some(text) = item.as_text().and_then(|text| draft.plain(text, place)) else { continue };
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        let mut written = Written { target: target.to_owned(), ..Written::default() };
        for option in options.split(',') {
            match option.split_once('=') {
                Some(("size", size)) => written.size = super::resources::bytes(size),
                Some(("mode", mode)) => written.mode = Some(mode.to_owned()),
                _ => {}
            }
        }
        memory(svc, written);
    }
}

fn memory(svc: &mut Svc, written: Written) {
    let octal = |mode: &String| u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o1777);
    put(
        svc,
        Mount {
            kind: Some(MountType::Tmpfs),
            target: written.target,
            size: written.size.map(Size),
            mode: written.mode.filter(octal),
            ..Mount::default()
        },
    );
}

/// Adds a mount; a second one at the same path takes the place of the first, as in the engine.
fn put(svc: &mut Svc, mount: Mount) {
    let clean = |text: &str| source::clean(text).unwrap_or_default();
    let target = clean(&mount.target);
    svc.container.volumes.retain(|other| clean(&other.target) != target);
    svc.container.volumes.push(mount);
}

fn mount(draft: &mut Draft<'_>, svc: &mut Svc, project: &Project, written: Written, place: &str) {
    if !written.target.starts_with('/') || written.target.trim_matches('/').is_empty() {
        let message = format!("`{}` is no path in a container", written.target);
        return draft.find("unreadable", place, message);
    }
    let Some(expr) = written.source.clone() else {
        // an anonymous volume: one of the app, so that its content outlives the container
        let name = format!("{}-{}", svc.name, label(&written.target));
        return volume(draft, svc, &name, written);
    };
    let Some(found) = locate(draft, project, &expr, &written, place) else { return };
    match found {
        Place::Own(path) => own(draft, svc, path, written, place),
        Place::Shared(path) => {
            let message = format!("`{}` at {}", expr.shown(), written.target);
            draft.find("shared-folder", place, message);
            bind(svc, format!("shared/{path}"), written, draft.owner.clone());
        }
        Place::App(app, path) => {
            let message = format!("{path} of {app} at {}", written.target);
            draft.find("foreign-data", place, message);
        }
        Place::Role(role) => given(draft, svc, role, written, place),
        Place::Volume(name) => {
            declared(draft, project, &name);
            volume(draft, svc, &name, written);
        }
        Place::Device(device) => super::rights::device(draft, svc, &device, &written.target, place),
        Place::Clock => draft.find("host-clock", place, format!("{} is left out", expr.shown())),
        Place::Moved(from, path) => {
            draft.find("moved-path", place, format!("{from} becomes {path} of the app"));
            bind(svc, path, written, draft.owner.clone());
        }
        Place::Refused(code, message) => draft.find(code, place, message),
    }
}

/// What another app gives out.
fn given(draft: &mut Draft<'_>, svc: &mut Svc, role: String, written: Written, place: &str) {
    let message =
        format!("what the app that fills {role} gives out, read-only at {}", written.target);
    draft.find("app-data", place, message);
    draft.require(&role);
    let mount = Mount {
        kind: Some(MountType::Role),
        source: Some(role),
        target: written.target,
        ..Mount::default()
    };
    put(svc, mount);
}

fn locate(
    draft: &mut Draft<'_>,
    project: &Project,
    expr: &Expr,
    written: &Written,
    place: &str,
) -> Option<Place> {
    match expr.atoms() {
        [Atom::Dir(root)] => return rooted(draft, root, "", place),
        [Atom::Dir(root), Atom::Text(rest)] => return rooted(draft, root, rest, place),
        _ => {}
    }
    let text = draft.plain_expr(expr, place)?;
    if written.kind == "volume" || is_volume(project, &text) {
        return Some(Place::Volume(text));
    }
    if !matches!(written.kind.as_str(), "bind" | "") {
        return Some(Place::Refused("unreadable", format!("a mount of type {}", written.kind)));
    }
    absolute(draft, &text)
}

fn rooted(draft: &mut Draft<'_>, root: &Root, rest: &str, place: &str) -> Option<Place> {
    let Some(path) = source::clean(rest) else {
        draft.find("host-path", place, format!("`{rest}` leaves its directory"));
        return None;
    };
    Some(match root {
        Root::Own => Place::Own(path),
        Root::Shared => match draft.vars.shared(&path) {
            Some((Root::Shared, folder)) => Place::Shared(folder),
            Some((root, rest)) => return rooted(draft, &root, &rest, place),
            None => Place::Refused("host-path", format!("{path} belongs to the store itself")),
        },
        Root::Given(role) if path.is_empty() => Place::Volume(role.clone()),
        Root::Role(role) if path.is_empty() => Place::Role(role.clone()),
        Root::App(app) | Root::Role(app) | Root::Given(app) => Place::App(app.clone(), path),
    })
}

fn is_volume(project: &Project, text: &str) -> bool {
    project.volumes.contains_key(text)
        || (!text.is_empty() && !text.contains('/') && !text.starts_with(['.', '~']))
}

fn absolute(draft: &Draft<'_>, text: &str) -> Option<Place> {
    if SOCKETS.iter().any(|socket| text.trim_end_matches('/').ends_with(socket)) {
        return Some(Place::Refused("engine-socket", format!("{text} would hand over the node")));
    }
    if let Some(home) = text.strip_prefix('~') {
        let path = format!("home/{}", source::clean(home).unwrap_or_default());
        return Some(Place::Moved(text.to_owned(), path));
    }
    if !text.starts_with('/') {
        return Some(match source::clean(text) {
            Some(path) => Place::Own(path),
            None => {
                let path = source::clean(&text.replace("..", "")).unwrap_or_default();
                Place::Moved(text.to_owned(), format!("outside/{path}"))
            }
        });
    }
    if let Some((root, rest)) = draft.vars.path(draft, text) {
        let path = source::clean(&rest)?;
        return Some(match root {
            Root::Own => Place::Own(path),
            Root::Shared => Place::Shared(path),
            Root::App(app) | Root::Role(app) | Root::Given(app) => Place::App(app, path),
        });
    }
    let below = |dir: &str| text == dir || text.starts_with(&format!("{dir}/"));
    if CLOCK.iter().any(|path| below(path)) {
        return Some(Place::Clock);
    }
    let cleaned = source::clean(text)?;
    if cleaned.is_empty() {
        return Some(Place::Refused("host-path", "the whole file system of the host".to_owned()));
    }
    if below("/dev") && text != "/dev" && text != "/dev/" {
        return Some(Place::Device(text.trim_end_matches('/').to_owned()));
    }
    let program =
        text.strip_prefix(PROGRAMS).map(|rest| rest.split('/').next().unwrap_or_default());
    if program.is_some_and(|name| !name.is_empty() && !SYSTEM_PROGRAMS.contains(&name)) {
        return Some(Place::Moved(text.to_owned(), cleaned));
    }
    if below("/lib/modules") {
        return Some(Place::Refused("kernel-module", format!("{text} is left out")));
    }
    if SYSTEM.iter().any(|dir| below(dir)) {
        return Some(Place::Refused("host-path", format!("{text} belongs to the host's system")));
    }
    Some(Place::Moved(text.to_owned(), cleaned))
}

/// A path in the app's data directory: a file or directory of the package, or data.
fn own(draft: &mut Draft<'_>, svc: &mut Svc, path: String, written: Written, place: &str) {
    let dir = format!("{path}/");
    let files = &draft.source.files;
    if let Some(bytes) = files.get(&path) {
        draft.package.insert(path.clone(), bytes.clone());
        return package(draft, svc, path, written, place);
    }
    let kept = |name: &str| !matches!(source::file_name(name), ".gitkeep" | ".keep" | ".gitignore");
    let seeds: Vec<(String, Vec<u8>)> = files
        .iter()
        .filter(|(name, _)| !path.is_empty() && name.starts_with(&dir) && kept(name))
        .map(|(name, bytes)| (name.clone(), bytes.clone()))
        .collect();
    if !seeds.is_empty() && written.read_only {
        draft.package.extend(seeds);
        return package(draft, svc, path, written, place);
    }
    if let Some((first, _)) = seeds.first() {
        let message =
            format!("{first} lies in a directory that the app writes to; it is not put there");
        draft.find("writable-file", place, message);
    }
    if looks_like_file(&path, &written) {
        draft.find("missing-file", place, format!("{path} is not in the package"));
        return package(draft, svc, path, written, place);
    }
    let path = if path.is_empty() { "data".to_owned() } else { path };
    bind(svc, path, written, draft.owner.clone());
}

fn package(draft: &mut Draft<'_>, svc: &mut Svc, path: String, written: Written, place: &str) {
    if !written.read_only {
        draft.find("writable-file", place, format!("{path} is read-only for the app"));
    }
    put(
        svc,
        Mount {
            kind: Some(MountType::Package),
            source: Some(path),
            target: written.target,
            ..Mount::default()
        },
    );
}

/// True for a path that is mounted over a file: by its ending, or at the same name below `/etc`.
fn looks_like_file(path: &str, written: &Written) -> bool {
    let (name, target) = (source::file_name(path), source::file_name(&written.target));
    let ending = |name: &str| {
        name.rsplit_once('.').is_some_and(|(stem, end)| {
            !stem.is_empty() && FILE_ENDINGS.contains(&end.to_ascii_lowercase().as_str())
        })
    };
    // directories such as `conf.d` and `rules.json.d` end otherwise
    ending(name) && ending(target)
        || (written.read_only && name == target && written.target.starts_with("/etc/"))
}

fn bind(svc: &mut Svc, path: String, written: Written, owner: Option<String>) {
    // paths of the manifest have no `:`, `,` or `\`
    let path = path.replace([':', ',', '\\'], "-");
    put(
        svc,
        Mount {
            kind: Some(MountType::Bind),
            source: Some(path),
            target: written.target,
            read_only: written.read_only.then_some(true),
            owner: if written.read_only { None } else { owner },
            ..Mount::default()
        },
    );
}

fn volume(draft: &mut Draft<'_>, svc: &mut Svc, name: &str, written: Written) {
    let own = draft.app.id.clone();
    let mut label = label(name);
    if let Some(rest) = label.strip_prefix(&format!("{own}-")) {
        label = rest.to_owned();
    }
    if label.is_empty() {
        label = "data".to_owned();
    }
    draft.app.named_volumes.entry(label.clone()).or_default();
    put(
        svc,
        Mount {
            kind: Some(MountType::Volume),
            source: Some(label),
            target: written.target,
            read_only: written.read_only.then_some(true),
            ..Mount::default()
        },
    );
}

fn declared(draft: &mut Draft<'_>, project: &Project, name: &str) {
    let Some(options) = project.volumes.get(name) else { return };
    let place = format!("volumes.{name}");
    if options.get("external").is_some_and(|e| e.is_true() || e.as_map().is_some()) {
        draft.find(
            "moved-path",
            &place,
            "a volume of another project; the app gets one of its own",
        );
    }
    let driver = options.text_of("driver").unwrap_or("local");
    let share = options.get("driver_opts").is_some_and(|opts| {
        let kind = opts.text_of("type").unwrap_or("none");
        let device = opts.text_of("device").unwrap_or_default();
        !matches!(kind, "none" | "" | "tmpfs")
            || opts.text_of("o").is_some_and(|o| o.contains("addr="))
            || device.starts_with("//")
    });
    if driver != "local" || share {
        let message = format!("the driver {driver} with its options");
        draft.find("volume-driver", &place, message);
    } else if options.get("driver_opts").is_some() {
        draft.find("moved-path", &place, "the volume's own place; it lies with the other volumes");
    }
}

/// Reads the secrets or configs of a service.
pub(super) fn entries(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    project: &Project,
    value: &Value,
    place: &str,
    secret: bool,
) {
    for item in value.items() {
        let name = item.text_of("source").or_else(|| item.as_text()).unwrap_or_default().to_owned();
        let base = if secret { format!("/run/secrets/{name}") } else { format!("/{name}") };
        let target = match item.text_of("target") {
            Some(target) if target.starts_with('/') => target.to_owned(),
            Some(target) if secret => format!("/run/secrets/{target}"),
            Some(target) => format!("/{target}"),
            None => base,
        };
        let all = if secret { &project.secrets } else { &project.configs };
        let options = all.get(&name).cloned().unwrap_or_default();
        if !all.contains_key(&name) {
            draft.find("unreadable", place, format!("{name} is not declared"));
            continue;
        }
        match secret {
            true => {
                let kind = match options.get("external").is_some_and(Value::is_true) {
                    true => SecretKind::Supplied,
                    false => SecretKind::Hex32,
                };
                let secret = draft.secret(&name, kind);
                let message = format!("the secret {name} is generated, unless it is external");
                draft.find("generated-secret", place, message);
                svc.container.secret_files.insert(secret, target);
            }
            false => config(draft, svc, &name, &options, &target, place),
        }
    }
}

fn config(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    name: &str,
    options: &Value,
    target: &str,
    place: &str,
) {
    let written = Written { target: target.to_owned(), read_only: true, ..Written::default() };
    if let Some(content) = options.text_of("content") {
        let content = draft.expr(content, place);
        let path =
            format!("configs/{}", if label(name).is_empty() { "file".into() } else { label(name) });
        let Some(text) = content.template() else {
            return draft.find("unreadable", place, "the content has braces of its own");
        };
        if !draft.app.files.iter().any(|file| file.path == path) {
            let file = File { path: path.clone(), content: text, overwrite: true, mode: None };
            draft.app.files.push(file);
        }
        return put(
            svc,
            Mount {
                kind: Some(MountType::File),
                source: Some(path),
                target: written.target,
                ..Mount::default()
            },
        );
    }
    let Some(path) = options.text_of("file").and_then(source::clean) else {
        return draft.find("missing-part", place, format!("the config {name} has no content here"));
    };
    match draft.source.files.get(&path).cloned() {
        Some(bytes) => {
            draft.package.insert(path.clone(), bytes);
            package(draft, svc, path, written, place);
        }
        None => {
            draft.find("missing-file", place, format!("{path} is not in the package"));
            package(draft, svc, path, written, place);
        }
    }
}
