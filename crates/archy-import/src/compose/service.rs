//! A service of a project becomes a service of the manifest, key by key: each key is carried over
//! or reported.

use archy_manifest::model::DependsOn;
use archy_manifest::schema::{Build, Container, Seconds};
use indexmap::IndexMap;

use super::{Project, env, health, keyed, lists, mounts, network, ports, resources, rights};
use crate::draft::{Draft, Svc, label};
use crate::expr::{self, Expr};
use crate::value::{Map, Value};

/// Stop signals of manifests.
const SIGNALS: &[&str] = &[
    "SIGTERM",
    "SIGINT",
    "SIGQUIT",
    "SIGHUP",
    "SIGUSR1",
    "SIGUSR2",
    "SIGWINCH",
    "SIGKILL",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
];
/// Beginnings of labels that steer reverse proxies, engines and updaters.
const ROUTING: &[&str] = &[
    "traefik.",
    "caddy",
    "com.docker.",
    "runtipi.",
    "com.centurylinklabs.",
    "homepage.",
    "diun.",
    "swag",
    "glance.",
];

/// Names of the services in the manifest, by their names in the source; `main` becomes `main`.
pub(crate) fn names(project: &Project, main: Option<&str>) -> IndexMap<String, String> {
    let mut out: IndexMap<String, String> = IndexMap::new();
    let mut taken = vec!["main".to_owned()];
    for name in project.services.keys() {
        if Some(name.as_str()) == main {
            out.insert(name.clone(), "main".to_owned());
            continue;
        }
        let mut base = label(name);
        base.truncate(30);
        let base = base.trim_end_matches('-');
        let base = if base.is_empty() { "service" } else { base };
        let mut chosen = base.to_owned();
        let mut number = 2;
        while taken.contains(&chosen) {
            chosen = format!("{base}-{number}");
            number += 1;
        }
        taken.push(chosen.clone());
        out.insert(name.clone(), chosen);
    }
    out
}

/// Converts all services; their names in the manifest must be in `draft.names`.
pub(crate) fn convert(draft: &mut Draft<'_>, project: &Project) {
    network::declared(draft, project);
    for (name, service) in &project.services {
        let svc = one(draft, project, name, service);
        draft.services.insert(name.clone(), svc);
    }
    dependencies(draft, project);
}

fn one(draft: &mut Draft<'_>, project: &Project, name: &str, service: &Map) -> Svc {
    let place = format!("services.{name}");
    let mut svc = Svc {
        name: draft.names.get(name).cloned().unwrap_or_else(|| label(name)),
        ..Svc::default()
    };
    image(draft, &mut svc, service, &place);
    svc.env = env::environment(draft, service, &place);
    svc.container.resources = Some(resources::resources(draft, service, &place));
    rights::rights(draft, &mut svc, service, &place);
    for (key, value) in service {
        let here = format!("{place}.{key}");
        if !value.is_empty() {
            carry(draft, &mut svc, project, (key, value), &here);
        }
    }
    user(draft, &mut svc, service, &place);
    if service.get("privileged").is_some_and(Value::is_true) {
        rights::privileged(draft, &mut svc, &place);
    }
    rights::defaults(draft, &mut svc, &place);
    svc
}

/// Carries one key over.
fn carry(
    draft: &mut Draft<'_>,
    svc: &mut Svc,
    project: &Project,
    (key, value): (&str, &Value),
    place: &str,
) {
    match key {
        "command" => svc.command = words(draft, value, place),
        "entrypoint" => svc.entrypoint = Some(words(draft, value, place)),
        "ports" => svc.container.ports = ports::ports(draft, value, place),
        "volumes" => mounts::volumes(draft, svc, project, value, place),
        "tmpfs" => mounts::tmpfs(draft, svc, value, place),
        "secrets" => mounts::entries(draft, svc, project, value, place, true),
        "configs" => mounts::entries(draft, svc, project, value, place, false),
        "healthcheck" => health::health(draft, svc, value, place),
        "network_mode" => {
            if let Some(mode) = value.as_text().and_then(|text| draft.plain(text, place)) {
                network::mode(draft, svc, &mode, place);
            }
        }
        "networks" => network::networks(draft, svc, project, value, place),
        "extra_hosts" => network::extra_hosts(draft, value, place),
        "container_name" | "hostname" => {
            network::name(draft, svc, value.as_text().unwrap_or_default(), place);
        }
        "links" | "external_links" => links(draft, svc, value, place),
        "working_dir" => svc.container.working_dir = path(draft, value, place),
        "init" => svc.container.init = value.is_true(),
        "labels" => labels(draft, svc, value, place),
        "stop_grace_period" => grace(draft, svc, value, place),
        "stop_signal" => signal(draft, svc, value, place),
        "restart" => restart(draft, value.as_text().unwrap_or_default(), place),
        "deploy" => deploy(draft, value, place),
        "post_start" | "pre_stop" => {
            draft.find("hook", place, format!("runs {}", value.brief()));
        }
        "volumes_from" | "credential_spec" | "provider" | "models" | "use_api_socket" => {
            draft.find("unsupported-key", place, format!("`{key}`: {}", value.brief()));
        }
        // looked at elsewhere
        "image" | "build" | "environment" | "env_file" | "user" | "depends_on" | "profiles"
        | "scale" | "privileged" | "cap_add" | "cap_drop" | "security_opt" | "devices" | "gpus"
        | "runtime" | "group_add" | "sysctls" | "read_only" | "pid" | "ipc" | "uts"
        | "mem_limit" | "cpus" | "pids_limit" | "shm_size" | "ulimits" => {}
        other if other.starts_with("x-") => {}
        other => match lists::DROPPED.iter().find(|(known, _)| *known == other) {
            Some((_, why)) => draft.find("dropped-key", place, *why),
            None => draft.find("unknown-key", place, format!("`{key}`: {}", value.brief())),
        },
    }
}

/// A command: a list of words, or a line that a shell would split.
fn words(draft: &mut Draft<'_>, value: &Value, place: &str) -> Vec<Expr> {
    match value {
        Value::Scalar { text, .. } => {
            let expr = draft.expr(text, place);
            expr::words(&expr)
        }
        list => list
            .items()
            .iter()
            .filter_map(Value::as_text)
            .map(|text| draft.expr(text, place))
            .collect(),
    }
}

fn path(draft: &mut Draft<'_>, value: &Value, place: &str) -> Option<String> {
    let path = draft.plain(value.as_text()?, place)?;
    if path.starts_with('/') {
        return Some(path);
    }
    draft.find("unreadable", place, format!("`{path}` is no absolute path"));
    None
}

fn image(draft: &mut Draft<'_>, svc: &mut Svc, service: &Map, place: &str) {
    let written = service.get("image").and_then(Value::as_text).filter(|text| !text.is_empty());
    if let Some(text) = written {
        let here = format!("{place}.image");
        if let Some(image) = draft.plain(text, &here) {
            svc.container.image = Some(qualified(draft, image.trim(), &here));
            return;
        }
    }
    let Some(build) = service.get("build").filter(|build| !build.is_empty()) else {
        let message = "has neither an image nor a build context";
        return draft.find("no-image", place, message);
    };
    let here = format!("{place}.build");
    let context = build.text_of("context").or_else(|| build.as_text()).unwrap_or(".").to_owned();
    let inline = build.get("dockerfile_inline").is_some();
    let file = build.text_of("dockerfile").unwrap_or("Dockerfile").to_owned();
    let context = env::package_path(draft, &context, &here).filter(|_| !inline);
    let below =
        |context: &str| if context.is_empty() { String::new() } else { format!("{context}/") };
    let beside = context.map(|context| (below(&context), context));
    let files = &draft.source.files;
    match beside {
        Some((prefix, context)) if files.contains_key(&format!("{prefix}{file}")) => {
            let part: Vec<_> = files
                .iter()
                .filter(|(name, _)| name.starts_with(&prefix))
                .map(|(name, bytes)| (name.clone(), bytes.clone()))
                .collect();
            draft.package.extend(part);
            let mut args = IndexMap::new();
            for (key, value) in keyed(build.get("args").unwrap_or(&Value::Null)) {
                let text = value.as_text().unwrap_or_default().to_owned();
                args.extend(draft.plain(&text, &here).map(|text| (key, text)));
            }
            let context = if context.is_empty() { ".".to_owned() } else { context };
            svc.container.build =
                Some(Build { context: Some(context), containerfile: Some(file), args });
        }
        _ => draft.find("no-image", &here, "the build context is not in the package"),
    }
}

/// An image with its registry, and a tag where it has none.
fn qualified(draft: &mut Draft<'_>, image: &str, place: &str) -> String {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let first = name.split_once('/').map(|(first, _)| first);
    let registry = first.is_some_and(|f| f.contains(['.', ':']) || f == "localhost");
    let full = match (registry, name.contains('/')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    };
    let last = full.rsplit('/').next().unwrap_or_default();
    let tag = last.split_once(':').map(|(_, tag)| tag);
    if digest.is_none() && matches!(tag, None | Some("latest")) {
        draft.find("not-pinned", place, format!("{image} may be another image every time"));
    }
    let tagged = if tag.is_none() && digest.is_none() { format!("{full}:latest") } else { full };
    match digest {
        Some(digest) => format!("{tagged}@{digest}"),
        None => tagged,
    }
}

fn user(draft: &mut Draft<'_>, svc: &mut Svc, service: &Map, place: &str) {
    let here = format!("{place}.user");
    let text = service.get("user").and_then(Value::as_text).filter(|text| !text.is_empty());
    let text = text.and_then(|text| draft.plain(text, &here));
    let Some(user) = text else { return };
    let number = |part: &str| part.parse::<u32>().ok().filter(|id| *id <= 65_535);
    let (uid, gid) = user.split_once(':').unwrap_or((&user, &user));
    match (number(uid), number(gid)) {
        (Some(0), _) | (None, _) | (_, None) => {}
        (Some(uid), Some(gid)) => {
            let owner = format!("{uid}:{gid}");
            svc.container.data_uid = Some(owner.clone());
            for mount in &mut svc.container.volumes {
                if mount.owner.is_some() {
                    mount.owner = Some(owner.clone());
                }
            }
        }
    }
    svc.container.user = Some(user);
}

fn labels(draft: &mut Draft<'_>, svc: &mut Svc, value: &Value, place: &str) {
    for (key, value) in keyed(value) {
        let text = match &value {
            Value::Scalar { text, .. } => draft.expr(text, place),
            _ => Expr::default(),
        };
        let odd =
            key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '=' || c == '$');
        if ROUTING.iter().any(|start| key.starts_with(start)) {
            draft.find("routing", place, "labels for a proxy or an updater are left out");
        } else if odd || key.starts_with("io.archipelago") || key.starts_with("io.podman") {
            draft.find("dropped-key", place, format!("the label {key} is left out"));
        } else if let Some(text) = text.as_text() {
            svc.container.labels.insert(key, text.to_owned());
        } else {
            draft.find(
                "dropped-key",
                place,
                format!("the label {key} is left out: {}", text.shown()),
            );
        }
    }
}

fn grace(draft: &mut Draft<'_>, svc: &mut Svc, value: &Value, place: &str) {
    let text = value.as_text().and_then(|text| draft.plain(text, place)).unwrap_or_default();
    match health::duration(&text) {
        Some(written) => {
            let kept = written.clamp(1, 3600);
            if kept != written {
                draft.find("timing", place, format!("{text} becomes {kept} s"));
            }
            svc.container.stop_grace_secs = Some(Seconds(kept));
        }
        None => draft.find("unreadable", place, format!("`{text}` is no duration")),
    }
}

fn signal(draft: &mut Draft<'_>, svc: &mut Svc, value: &Value, place: &str) {
    let text = value.as_text().unwrap_or_default().to_ascii_uppercase();
    let name = if text.starts_with("SIG") { text } else { format!("SIG{text}") };
    match SIGNALS.contains(&name.as_str()) {
        true => svc.container.stop_signal = Some(name),
        false => draft.find("unsupported-key", place, format!("the stop signal {name}")),
    }
}

fn restart(draft: &mut Draft<'_>, text: &str, place: &str) {
    match text.split(':').next().unwrap_or_default() {
        "always" | "unless-stopped" => {}
        "on-failure" => draft.find("dropped-key", place, "it is started again whenever it ends"),
        _ => draft.find("run-once", place, format!("restart: {text}")),
    }
}

fn deploy(draft: &mut Draft<'_>, value: &Value, place: &str) {
    for (key, value) in value.as_map().into_iter().flatten() {
        let here = format!("{place}.{key}");
        match key.as_str() {
            "replicas" | "mode" => {}
            "resources" => {
                let reserved = value.get("reservations").and_then(Value::as_map);
                if reserved.is_some_and(|map| map.keys().any(|key| key != "devices")) {
                    draft.find(
                        "dropped-key",
                        &here,
                        "reservations: memory and CPUs are limited only",
                    );
                }
            }
            "restart_policy" | "placement" | "update_config" | "rollback_config"
            | "endpoint_mode" | "labels" => {
                draft.find("dropped-key", &here, "it is for a cluster; the node decides");
            }
            other if other.starts_with("x-") => {}
            other => draft.find("unknown-key", &here, format!("`{other}` of deploy")),
        }
    }
}

fn links(draft: &mut Draft<'_>, svc: &mut Svc, value: &Value, place: &str) {
    for text in value.items().iter().filter_map(Value::as_text) {
        let (target, alias) = text.split_once(':').unwrap_or((text, text));
        draft.links.push((svc.name.clone(), target.to_owned(), alias.to_owned()));
        draft.find("dropped-key", place, "services find each other by name");
    }
}

/// `depends_on` and links of all services, once it is known which of them there are.
fn dependencies(draft: &mut Draft<'_>, project: &Project) {
    let mut completed: Vec<String> = Vec::new();
    for (name, service) in &project.services {
        let place = format!("services.{name}.depends_on");
        let value = service.get("depends_on").cloned().unwrap_or_default();
        let mut wanted: IndexMap<String, DependsOn> = IndexMap::new();
        for (target, condition) in entries(&value) {
            let Some(known) = draft.services.get(&target) else {
                draft.find("dependency", &place, format!("{target} is not a service here"));
                continue;
            };
            let condition = match condition.as_str() {
                "service_healthy" if known.health.is_none() => {
                    let message = format!("{target} has no health check in the source");
                    draft.find("healthy", &place, message);
                    DependsOn::Started
                }
                "service_healthy" => DependsOn::Healthy,
                "service_completed_successfully" => {
                    completed.push(target.clone());
                    DependsOn::Completed
                }
                _ => DependsOn::Started,
            };
            wanted.insert(target, condition);
        }
        let targets: IndexMap<String, DependsOn> = wanted
            .iter()
            .filter_map(|(target, on)| Some((draft.services.get(target)?.name.clone(), *on)))
            .collect();
        if let Some(svc) = draft.services.get_mut(name) {
            svc.container.depends_on = targets;
        }
    }
    for name in completed {
        if let Some(svc) = draft.services.get_mut(&name) {
            svc.container.oneshot = true;
        }
    }
    for (_, target, alias) in draft.links.clone() {
        if let Some(svc) = draft.services.get_mut(&target) {
            svc.names.push(alias);
        }
    }
}

fn entries(value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Map(map) => map
            .iter()
            .map(|(name, options)| {
                let condition = options.text_of("condition").unwrap_or("service_started");
                (name.clone(), condition.to_owned())
            })
            .collect(),
        list => list
            .items()
            .iter()
            .filter_map(Value::as_text)
            .map(|name| (name.to_owned(), "service_started".to_owned()))
            .collect(),
    }
}

/// True for a container that has something to run.
pub(crate) fn is_runnable(container: &Container) -> bool {
    container.image.is_some() || container.build.is_some()
}
