//! Keys that no manifest may use: privileges, host namespaces, raw engine arguments.

use crate::diagnostic::Severity::Error;
use crate::path::Path;
use crate::sink::Sink;
use crate::yaml::{Kind, Node};

const NAMESPACES: &[&str] = &[
    "pid",
    "pid_mode",
    "ipc",
    "ipc_mode",
    "uts",
    "userns",
    "userns_mode",
    "cgroupns",
    "network_mode",
];
const PROTECTIONS: &[&str] = &["seccomp", "apparmor", "selinux"];
const RAW: &[&str] = &["podman_args", "extra_args", "runtime_args", "security_opt", "global_args"];

/// True for words that share a namespace with the host or another container.
pub(super) fn shares_namespace(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    text == "host" || ["container:", "ns:", "service:", "host:"].iter().any(|p| text.starts_with(p))
}

/// Looks at `app`, its container or services, and their `security`.
pub(crate) fn check(root: &Node, sink: &mut Sink<'_>) {
    let path = Path::root().key("app");
    let Some(app) = root.get("app") else { return };
    level(app, &path, sink);
    if let Some(container) = app.get("container") {
        level(container, &path.key("container"), sink);
    }
    if let Some(Node { kind: Kind::Map(services), .. }) = app.get("services") {
        for entry in services {
            level(&entry.value, &path.key("services").key(&entry.key), sink);
        }
    }
}

fn level(node: &Node, path: &Path, sink: &mut Sink<'_>) {
    keys(node, path, sink);
    if let Some(security) = node.get("security") {
        keys(security, &path.key("security"), sink);
    }
}

fn keys(node: &Node, path: &Path, sink: &mut Sink<'_>) {
    let Kind::Map(entries) = &node.kind else { return };
    for entry in entries {
        let text = match &entry.value.kind {
            Kind::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        let here = path.key(&entry.key);
        let key = entry.key.as_str();
        if key == "privileged" && !text.eq_ignore_ascii_case("false") {
            let mend = "delete it; name single capabilities in `security.capabilities`";
            sink.report(Error, "privileged", &here, "privileged containers are refused", mend);
        } else if NAMESPACES.contains(&key) && shares_namespace(text) {
            let message = format!("`{key}: {}` shares a namespace", crate::check::shorten(text));
            let mend = "delete it; services of an app reach each other by name";
            sink.report(Error, "host-namespace", &here, message, mend);
        } else if RAW.contains(&key) {
            let message = format!("`{key}`: arguments for the container engine are refused");
            sink.report(Error, "privileged", &here, message, "use the keys of the reference");
        } else if PROTECTIONS.iter().any(|part| key.contains(part))
            && matches!(text, "unconfined" | "disable" | "disabled")
        {
            let message = format!("`{key}: {text}` takes a protection away");
            sink.report(Error, "privileged", &here, message, "delete it");
        }
    }
}
