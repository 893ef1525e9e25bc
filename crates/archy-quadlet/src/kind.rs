//! Kinds of Quadlet files, and the names of the units that Podman's generator makes of them
//! (podman-systemd.unit(5)).

/// Kind of a Quadlet file, as far as the platform writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// `.container`.
    Container,
    /// `.network`.
    Network,
    /// `.volume`.
    Volume,
    /// `.build`.
    Build,
}

impl FileKind {
    /// The stem and kind of a file; nothing for files of other kinds.
    #[must_use]
    pub fn split(file_name: &str) -> Option<(&str, Self)> {
        let (stem, ending) = file_name.rsplit_once('.')?;
        let all = [Self::Container, Self::Network, Self::Volume, Self::Build];
        all.into_iter().find(|kind| kind.ending() == ending).map(|kind| (stem, kind))
    }

    /// Ending of the file's name, without its dot.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Build => "build",
        }
    }

    /// The file's own section.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::Network => "Network",
            Self::Volume => "Volume",
            Self::Build => "Build",
        }
    }

    /// Name of the file with this stem.
    #[must_use]
    pub fn file(self, stem: &str) -> String {
        format!("{stem}.{}", self.ending())
    }

    /// Name of the unit that is made of the file with this stem.
    #[must_use]
    pub fn unit(self, stem: &str) -> String {
        match self {
            Self::Container => format!("{stem}.service"),
            other => format!("{stem}-{}.service", other.ending()),
        }
    }
}

/// The unit that is made of a file, for example `blog-network.service` of `blog.network`; nothing
/// for files of other kinds.
#[must_use]
pub fn unit_of(file_name: &str) -> Option<String> {
    FileKind::split(file_name).map(|(stem, kind)| kind.unit(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_unit() {
        for (file, unit) in [
            ("blog.container", Some("blog.service")),
            ("blog-db.container", Some("blog-db.service")),
            ("blog.network", Some("blog-network.service")),
            ("blog-data.volume", Some("blog-data-volume.service")),
            ("blog.build", Some("blog-build.service")),
            ("blog.pod", None),
            ("blog.service", None),
            ("blog", None),
        ] {
            assert_eq!(unit_of(file).as_deref(), unit, "{file}");
            if let Some((stem, kind)) = FileKind::split(file) {
                assert_eq!(kind.file(stem), file);
            }
        }
    }
}
