//! What can go wrong with images and their registry, each with a stable code and a hint.
use crate::cache::CacheError;
use crate::node::NodeError;
use crate::sh::ShError;

/// Why an image cannot be built, stored or named.
#[derive(Debug, thiserror::Error)]
pub enum ImagesError {
    /// The table of images cannot be read.
    #[error("tests/images/images.toml: {0}")]
    Table(String),
    /// No such image.
    #[error("there is no image `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Images that are made from each other.
    #[error("the image `{name}` is made from itself")]
    Cycle {
        /// The name.
        name: String,
    },
    /// The image was not built yet.
    #[error("the image `{name}` is not built")]
    NotBuilt {
        /// The name.
        name: String,
    },
    /// An image failed to build.
    #[error("the image `{name}` cannot be built")]
    Build {
        /// The name.
        name: String,
        /// Why.
        source: Box<ImagesError>,
    },
    /// The registry does not answer.
    #[error("the registry at {address} does not answer{log}")]
    Registry {
        /// Its address.
        address: &'static str,
        /// The end of its log, on lines of its own.
        log: String,
    },
    /// The network of the nodes failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A command failed.
    #[error(transparent)]
    Sh(#[from] ShError),
    /// The cache directory failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl ImagesError {
    /// Stable code of this kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Table(_) => "images.table",
            Self::Unknown { .. } => "images.unknown",
            Self::Cycle { .. } => "images.cycle",
            Self::NotBuilt { .. } => "images.not-built",
            Self::Build { .. } => "images.build",
            Self::Registry { .. } => "images.registry",
            Self::Node(error) => error.code(),
            Self::Sh(error) => error.code(),
            Self::Cache(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Table(_) => "mend the table".into(),
            Self::Unknown { .. } => "the names are in tests/images/images.toml".into(),
            Self::Cycle { .. } => "mend the FROM lines of the Containerfiles".into(),
            Self::NotBuilt { name } => format!("cargo xtask images {name}"),
            Self::Build { name, .. } => {
                format!("the full log is in logs/image-{name}.log of the cache directory")
            }
            Self::Registry { .. } => {
                "another program may use the address; see the log above".into()
            }
            Self::Node(error) => error.hint(),
            Self::Sh(_) => "the lines above are the command's own words".into(),
            Self::Cache(error) => error.hint().into(),
        }
    }
}
