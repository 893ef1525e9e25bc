//! Why an app cannot be rendered for this host.

use archy_manifest::template::Placeholder;
use archy_types::{PodmanVersion, ServiceName, UserError};

use crate::escape::EscapeError;

/// Why an app cannot be rendered for this host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Podman is older than the floor.
    #[error("Podman {0} is older than {floor}", floor = PodmanVersion::FLOOR)]
    PodmanTooOld(PodmanVersion),
    /// A key that the host's Podman does not know.
    #[error("Podman {podman} does not know {key}= in [{section}]")]
    Key {
        /// Section of the unit.
        section: String,
        /// Key.
        key: String,
        /// Podman's version on the host.
        podman: PodmanVersion,
    },
    /// A value that a unit file cannot hold.
    #[error("{place}: {field} {source}")]
    Value {
        /// Service, volume or network.
        place: String,
        /// What the value is for.
        field: String,
        /// Why.
        source: EscapeError,
    },
    /// A placeholder whose value is not known.
    #[error("service {service}: {variable} needs {{{{{placeholder}}}}}, which has no value here")]
    Placeholder {
        /// Service.
        service: ServiceName,
        /// Environment variable.
        variable: String,
        /// Placeholder.
        placeholder: Placeholder,
    },
    /// A placeholder that may be used in files only.
    #[error("service {service}: {variable} uses {{{{{placeholder}}}}}, which is for files only")]
    FilesOnly {
        /// Service.
        service: ServiceName,
        /// Environment variable.
        variable: String,
        /// Placeholder.
        placeholder: Placeholder,
    },
    /// A setting that is neither text, number nor boolean.
    #[error("setting {key} has a value that is neither text, number nor boolean")]
    Setting {
        /// Key of the setting.
        key: String,
    },
    /// A required setting without a value.
    #[error("setting {key} is required and has no value")]
    SettingMissing {
        /// Key of the setting.
        key: String,
    },
    /// A dependency on a service that the app does not have.
    #[error("service {service} depends on {dependency}, which the app does not have")]
    Service {
        /// Service.
        service: ServiceName,
        /// Name that it depends on.
        dependency: ServiceName,
    },
    /// Services that wait for each other.
    #[error("services wait for each other: {}", .0.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", "))]
    Cycle(Vec<ServiceName>),
    /// A mount of a volume that the app does not declare.
    #[error("service {service} mounts volume {volume}, which the app does not declare")]
    Volume {
        /// Service.
        service: ServiceName,
        /// Volume.
        volume: String,
    },
    /// A mount of what an app gives out that is not there.
    #[error("service {service} mounts what {role} gives out, and no app fills that role here")]
    Role {
        /// Service.
        service: ServiceName,
        /// Role.
        role: String,
    },
    /// A build or package file without a package.
    #[error("service {service} needs {path} of the app's package, but the app has no package here")]
    Package {
        /// Service.
        service: ServiceName,
        /// Path in the package.
        path: String,
    },
    /// A path that Podman cannot mount.
    #[error("service {service}: the path {path:?} {reason}")]
    Path {
        /// Service.
        service: ServiceName,
        /// Path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// An image reference that Podman's generator takes for the name of a unit file.
    #[error("service {service}: the image {image} ends like the name of a unit file")]
    Image {
        /// Service.
        service: ServiceName,
        /// Image.
        image: String,
    },
    /// Two files of the app make the same unit.
    #[error("two parts of the app make the unit {unit}")]
    NameClash {
        /// Unit.
        unit: String,
    },
}

impl RenderError {
    /// Stable code of this kind of error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PodmanTooOld(_) => "podman-too-old",
            Self::Key { .. } => "unit-key-unknown",
            Self::Value { .. } => "unit-value-invalid",
            Self::Placeholder { .. } => "placeholder-unresolved",
            Self::FilesOnly { .. } => "placeholder-files-only",
            Self::Setting { .. } => "setting-type",
            Self::SettingMissing { .. } => "setting-missing",
            Self::Service { .. } => "service-undeclared",
            Self::Cycle(_) => "dependency-cycle",
            Self::Volume { .. } => "volume-undeclared",
            Self::Role { .. } => "role-unfilled",
            Self::Package { .. } => "package-missing",
            Self::Path { .. } => "mount-path-invalid",
            Self::Image { .. } => "image-reference-invalid",
            Self::NameClash { .. } => "unit-name-clash",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::PodmanTooOld(_) => {
                format!("install Podman {} or later", PodmanVersion::FLOOR)
            }
            Self::Key { .. } => "upgrade Podman, or report this as a bug".into(),
            Self::Value { .. } => "change the value in the manifest or the setting".into(),
            Self::Role { role, .. } => format!("install an app that provides {role}"),
            Self::Placeholder { placeholder, .. } => match placeholder {
                Placeholder::Config(key) => format!("declare or set the setting {key}"),
                Placeholder::RoleHost(role) => format!("install an app that provides {role}"),
                Placeholder::Port(_) => "name a `host` port of `ports`".into(),
                Placeholder::NodeIdentityPubkeys => "create an identity first".into(),
                _ => "see the placeholder in the manifest reference".into(),
            },
            Self::FilesOnly { .. } => {
                "write it in a file template, or hand a secret over with secret_env".into()
            }
            Self::Setting { .. } => "give it a single value".into(),
            Self::SettingMissing { key } => format!("set {key} in the app's settings"),
            Self::Service { .. } => "name a service of the app in depends_on".into(),
            Self::Cycle(_) => "take one of the dependencies out".into(),
            Self::Volume { .. } => "declare it under volumes".into(),
            Self::Package { .. } => "install the app from its directory or package".into(),
            Self::Path { .. } => "use another path".into(),
            Self::Image { .. } => "use a digest or another tag".into(),
            Self::NameClash { .. } => "rename the service or volume".into(),
        }
    }
}

impl From<&RenderError> for UserError {
    fn from(error: &RenderError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<RenderError> for UserError {
    fn from(error: RenderError) -> Self {
        Self::from(&error)
    }
}
