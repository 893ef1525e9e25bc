//! The stable codes of findings. A code is never reused for another meaning.

/// How bad a finding of a code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Always an error.
    Error,
    /// Always a warning, unless its text says otherwise.
    Warning,
    /// An error with `services`; with `container` it may be a warning, because existing manifests
    /// go on parsing.
    Form,
}

/// A code and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

const fn code(code: &'static str, level: Level, meaning: &'static str) -> Code {
    Code { code, level, meaning }
}

/// All codes, sorted.
pub const CODES: &[Code] = &[
    code(
        "conflicting-keys",
        Level::Error,
        "Two keys exclude each other, such as `image` and `build`, or `container` and `services`.",
    ),
    code(
        "dependency-cycle",
        Level::Error,
        "Services wait for each other, or the app needs itself.",
    ),
    code(
        "duplicate-file",
        Level::Error,
        "A file is written twice, or a certificate and its key share a file.",
    ),
    code("duplicate-key", Level::Error, "A key is written twice, also by an older name."),
    code("duplicate-secret", Level::Error, "A secret is declared twice with different kinds."),
    code("duplicate-target", Level::Error, "Two mounts at the same path."),
    code(
        "duplicate-variable",
        Level::Warning,
        "An environment variable is set twice; the last one counts.",
    ),
    code("empty-document", Level::Error, "The document is empty."),
    code("engine-socket", Level::Error, "The container engine's socket is mounted."),
    code(
        "health-port",
        Level::Warning,
        "The health check asks a port that the service does not publish.",
    ),
    code(
        "host-namespace",
        Level::Error,
        "A namespace is shared with the host or another container (`network: host`, `pid: host`, …).",
    ),
    code("host-path", Level::Error, "A path outside the app's data directory or package."),
    code("https-health", Level::Warning, "A health check over https; the port is tried instead."),
    code("invalid-address", Level::Error, "Not an IP address."),
    code("invalid-alias", Level::Error, "Not a DNS name."),
    code("invalid-choice", Level::Error, "Not one of the possible words."),
    code(
        "invalid-default",
        Level::Error,
        "The default of a setting breaks the setting's own limits.",
    ),
    code("invalid-device", Level::Error, "A device outside the allow-list."),
    code("invalid-duration", Level::Error, "Not a duration such as `30s`."),
    code("invalid-endpoint", Level::Error, "Not an endpoint such as `http://localhost:8080`."),
    code(
        "invalid-id",
        Level::Error,
        "Not a DNS label (an id, service, volume or role) or not a setting's key.",
    ),
    code(
        "invalid-identity-header",
        Level::Error,
        "Not a header that can tell an app who is there.",
    ),
    code("invalid-image", Level::Error, "Not an image reference."),
    code("invalid-mode", Level::Error, "Not an octal mode."),
    code("invalid-network", Level::Error, "A network outside the allow-list."),
    code("invalid-owner", Level::Form, "Not `uid` or `uid:gid` in the container."),
    code("invalid-path", Level::Error, "Not a path of the kind that is asked for."),
    code("invalid-pattern", Level::Error, "Not a pattern of the small language of text settings."),
    code("invalid-pointer", Level::Error, "Not a JSON pointer."),
    code("invalid-secret-name", Level::Error, "A secret's name is not a bare file name."),
    code("invalid-size", Level::Error, "Not a size such as `512Mi`."),
    code("invalid-text", Level::Error, "A text with line breaks, or too long."),
    code("invalid-user", Level::Error, "Not a user."),
    code("invalid-variable", Level::Error, "Not an environment variable, or an entry without `=`."),
    code("invalid-version", Level::Error, "Not a version or a version range."),
    code("key-too-long", Level::Error, "A key of more than 128 characters."),
    code("latest-image", Level::Warning, "The tag `latest` without a digest."),
    code("long-grace", Level::Warning, "A grace that a shutdown of the node does not wait for."),
    code("many-documents", Level::Error, "More than one document in the text."),
    code("misplaced-key", Level::Error, "A key of one container beside `services`."),
    code("misplaced-placeholder", Level::Error, "A placeholder that this place may not name."),
    code("missing-key", Level::Error, "A required key is missing."),
    code(
        "missing-rationale",
        Level::Form,
        "A port that is open to anyone, or a weighty capability, without a reason.",
    ),
    code("missing-service", Level::Error, "Several services, none called `main`, and none named."),
    code("missing-value", Level::Error, "A required value is empty."),
    code(
        "nested-mount",
        Level::Error,
        "A mount inside a directory that a container can write to; with `services` also a file or certificate there.",
    ),
    code("new-privileges", Level::Warning, "`no_new_privileges: false`."),
    code("no-container", Level::Error, "Neither `container` nor `services`."),
    code("not-utf8", Level::Error, "The text is not UTF-8."),
    code("nul-byte", Level::Error, "The text has a NUL byte."),
    code("one-of", Level::Error, "Not exactly one of several keys."),
    code("out-of-range", Level::Error, "A number, size or duration outside its bounds."),
    code("placeholder-in-env", Level::Warning, "A placeholder in `env`, where none is filled in."),
    code("port-clash", Level::Error, "Two ports of the app want the same host port."),
    code("privileged", Level::Error, "Privileges, engine arguments or a protection switched off."),
    code("refused-capability", Level::Error, "A capability outside the allow-list."),
    code("reserved-label", Level::Error, "A label of the platform."),
    code("tab-indentation", Level::Error, "Indentation with a tab."),
    code("too-deep", Level::Error, "Nested too deep."),
    code("too-large", Level::Error, "More than 1 MiB of text."),
    code("too-many-findings", Level::Error, "More than 100 findings; the rest is not shown."),
    code(
        "too-many-values",
        Level::Error,
        "Too many values, aliases counted as what they stand for.",
    ),
    code("unbalanced-braces", Level::Error, "`{{` without `}}`."),
    code("undeclared-file", Level::Error, "A file that is not in `files`."),
    code(
        "undeclared-idempotence",
        Level::Warning,
        "A hook step that does not say whether it may run again.",
    ),
    code("undeclared-role", Level::Error, "A role that is not in `requires`."),
    code(
        "undeclared-secret",
        Level::Error,
        "A secret that is not in `secrets`. In the form of one container it is taken as present on the node.",
    ),
    code("undeclared-service", Level::Error, "A service that the app does not have."),
    code("undeclared-setting", Level::Error, "A setting that is not in `config`."),
    code("undeclared-volume", Level::Error, "A volume that is not in `named_volumes`."),
    code(
        "ungated-udp",
        Level::Warning,
        "A UDP port that asks for the gate, which fronts TCP only.",
    ),
    code(
        "unknown-key",
        Level::Warning,
        "A key that the schema does not know; it has no effect. Keys that start with `x-` are notes.",
    ),
    code("unknown-option", Level::Warning, "A mount option that has no effect."),
    code("unknown-placeholder", Level::Error, "A placeholder outside the closed list."),
    code(
        "unpublished-port",
        Level::Form,
        "An interface, hook, ready condition or template names a port that is not published.",
    ),
    code("unqualified-image", Level::Error, "An image without its registry."),
    code("unreachable-condition", Level::Error, "A condition that can never hold."),
    code("unreachable-port", Level::Error, "A published port on a container without a network."),
    code("untagged-image", Level::Error, "An image with neither tag nor digest."),
    code(
        "unused-setting",
        Level::Warning,
        "A setting that reaches nothing; an error for a `file` target that does not name it.",
    ),
    code("useless-alias", Level::Warning, "Aliases on a network without names."),
    code("useless-key", Level::Warning, "A key without effect here."),
    code("wrong-type", Level::Error, "A value of another type."),
    code("yaml-syntax", Level::Error, "Not valid YAML."),
];
