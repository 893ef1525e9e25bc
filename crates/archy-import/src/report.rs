//! What an import says: every part of the source that is not carried over as it was has a finding
//! with a reason from a closed list, a severity, its place and what to do.

use serde::Serialize;

/// How much a finding asks of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Carried over in another form, or without a meaning here.
    Note,
    /// Carried over with another behaviour; worth a look.
    Warning,
    /// Needs a file that is not in the package handed in; the manifest names its place beside it.
    Supply,
    /// Needs a hand edit: a reference that nothing resolves, or a right that is refused.
    Edit,
}

/// A reason with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Stable code.
    pub code: &'static str,
    /// How much it asks.
    pub severity: Severity,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable code, one of [`REASONS`].
    pub reason: &'static str,
    /// How much it asks.
    pub severity: Severity,
    /// Place in the source, for example `services.web.volumes`; empty for the whole.
    pub place: String,
    /// What was found and what became of it.
    pub message: String,
}

/// Everything found in one app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding, unless the same is known already. An unknown code counts as
    /// [`Severity::Edit`].
    pub fn add(&mut self, code: &str, place: &str, message: impl Into<String>) {
        let known = REASONS.iter().find(|reason| reason.code == code);
        let (reason, severity) =
            known.map_or(("unknown", Severity::Edit), |reason| (reason.code, reason.severity));
        let finding = Finding { reason, severity, place: shorten(place), message: message.into() };
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// All of them, the weightiest first.
    #[must_use]
    pub fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        self.0
    }

    /// True when one of these codes was found at a place or below it.
    pub(crate) fn any(&self, codes: &[&str], place: &str) -> bool {
        let below = |finding: &Finding| {
            finding
                .place
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.iter().any(|finding| codes.contains(&finding.reason) && below(finding))
    }

    /// Codes of what was found so far.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|finding| finding.reason)
    }
}

/// At most 120 characters of a text, on one line.
#[must_use]
pub fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().nth(120).is_none() {
        return line;
    }
    line.chars().take(119).chain(['…']).collect()
}

const fn note(code: &'static str, meaning: &'static str) -> Reason {
    Reason { code, severity: Severity::Note, meaning }
}

const fn warning(code: &'static str, meaning: &'static str) -> Reason {
    Reason { code, severity: Severity::Warning, meaning }
}

const fn supply(code: &'static str, meaning: &'static str) -> Reason {
    Reason { code, severity: Severity::Supply, meaning }
}

const fn edit(code: &'static str, meaning: &'static str) -> Reason {
    Reason { code, severity: Severity::Edit, meaning }
}

/// All reasons: what needs an edit, then missing files, warnings and notes.
pub const REASONS: &[Reason] = &[
    edit(
        "engine-socket",
        "The container engine's socket would hand over the node. The mount is left out.",
    ),
    edit("foreign-data", "A directory of another app, by a path that app does not give out."),
    edit(
        "host-namespace",
        "A namespace of the host or of another container (`pid: host`, `network_mode: service:x`, …).",
    ),
    edit(
        "host-network",
        "The host's network. The app gets a network of its own; ports that are known are published.",
    ),
    edit("host-path", "A path of the host's system. The mount is left out."),
    edit("invalid-manifest", "The manifest that came out is not valid; the findings say why."),
    edit(
        "missing-part",
        "A file that the compose file takes services or variables from, and that is not in the package.",
    ),
    edit("no-image", "A service with neither an image nor a build context."),
    edit("privileged", "All privileges. The container gets none of them."),
    edit("refused-capability", "A capability outside the allow-list."),
    edit("refused-device", "A device outside the allow-list."),
    edit(
        "refused-protection",
        "A protection of the kernel switched off (seccomp, AppArmor, SELinux).",
    ),
    edit("unreadable", "A value that could not be understood."),
    edit("unresolved-variable", "A variable that nothing in the source sets."),
    edit(
        "unsupported-key",
        "A key whose meaning no manifest can have yet, and that the app depends on.",
    ),
    edit("volume-driver", "A volume of a driver, such as a network share."),
    supply(
        "missing-file",
        "A file of the app that a container gets and that is not in the package. Put it beside the manifest, where the mount says.",
    ),
    warning("app-data", "Files of another app, taken as a volume that app gives out."),
    warning(
        "changed-port",
        "A port that was taken or that the source leaves open; another one was chosen.",
    ),
    warning(
        "default-password",
        "A password that everybody knows, and that the app's settings cannot change.",
    ),
    warning("dependency", "A dependency on a service that is left out, or that closes a circle."),
    warning(
        "env-file",
        "A file with variables in the app's data directory, which its owner may edit. It is left out; write the variables into the manifest.",
    ),
    warning(
        "external-network",
        "A network of other apps. The service joins the network that apps share.",
    ),
    warning(
        "fixed-name",
        "A container's name that is no DNS name; the app's own references are rewritten.",
    ),
    warning(
        "gate-path",
        "Paths with a sign-in policy of their own. The whole port has one policy.",
    ),
    warning(
        "gpu",
        "A GPU by the engine's own runtime becomes a device of the Container Device Interface, which the node must have.",
    ),
    warning(
        "hook",
        "A command around the container's life or a script for the host, without a counterpart.",
    ),
    warning("kernel-module", "Loading kernel modules, which only the host can do."),
    warning("low-port", "A host port below 1024, which a node gives out rarely."),
    warning(
        "moved-path",
        "A directory of the host becomes a directory of the app. What lies there is not copied.",
    ),
    warning("nested-data", "A directory inside another mounted one; it gets a place of its own."),
    warning("not-pinned", "An image without a version, so that it may be another one every time."),
    warning(
        "own-network",
        "The host's network, by an app that lists its ports all the same. It gets a network of its own with these ports.",
    ),
    warning(
        "privileges-declared",
        "All privileges. The container gets every capability that a manifest can declare, no devices and no administration of the system.",
    ),
    warning("profile", "A service of a profile that is off by default. It is left out."),
    warning(
        "replaced-host",
        "The address of the host or its network; a value of the node stands in for it.",
    ),
    warning("replicas", "Several copies of a service. One is run."),
    warning(
        "run-once",
        "A service that is not restarted when it ends. It is run as long as the app runs.",
    ),
    warning(
        "secret-in-command",
        "A secret in a command line. It is handed over in the environment, and a shell fills it in.",
    ),
    warning(
        "shared-folder",
        "A folder that the store's apps share. The app gets one of its own, which others do not see.",
    ),
    warning("supplementary-group", "Supplementary groups, which a manifest cannot name."),
    warning("sysctl", "Kernel parameters of the container, which a manifest cannot set."),
    warning(
        "tor",
        "An onion address or Tor's proxy. The address is not known; the proxy is asked for as a role.",
    ),
    warning("unknown-key", "A key that neither the compose specification nor the store knows."),
    warning("unpublished-ui", "No door for people was found."),
    warning("unset-variable", "A variable that is not set becomes a setting of the owner."),
    warning(
        "writable-file",
        "A file of the package that the app may write to. It gets it read-only.",
    ),
    note("architecture", "Architectures that nodes do not have."),
    note("chosen-default", "A variable takes the default that stands beside it."),
    note("dropped-key", "A key without a meaning here, or that says what is so anyway."),
    note("extra-host", "A name for the host, which Podman gives anyway."),
    note("gate", "The store's sign-in becomes the node's gate."),
    note("generated-secret", "A password or key is generated on each node."),
    note(
        "healthy",
        "A dependency waits for a health check that the other service does not have; it waits for its start.",
    ),
    note("host-clock", "The host's time zone files; the time zone is a setting."),
    note("memory", "No memory limit in the source; a generous one is set."),
    note("metadata", "Data for people that goes into the manifest's metadata or is left out."),
    note(
        "rights",
        "What the engine grants by default is declared: capabilities within the container.",
    ),
    note("routing", "Labels of a reverse proxy. The node's gate does that."),
    note("setting", "A field of the store's form becomes a setting."),
    note("timing", "A duration or number outside the bounds is moved to the nearest bound."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_in_order_and_unique() {
        let keys: Vec<_> =
            REASONS.iter().map(|r| (std::cmp::Reverse(r.severity), r.code)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    }

    #[test]
    fn findings_come_once_and_weightiest_first() {
        let mut findings = Findings::default();
        findings.add("memory", "a", "m");
        findings.add("privileged", "b", "m");
        findings.add("memory", "a", "m");
        let codes: Vec<_> = findings.sorted().iter().map(|f| f.reason).collect();
        assert_eq!(codes, ["privileged", "memory"]);
    }
}
