//! How far a run is, in a file: what was interrupted goes on where it stood.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use archy_types::Digest;
use serde::{Deserialize, Serialize};

use crate::document::NodeRecord;
use crate::outcome::Life;
use crate::spec::AppSpec;

/// Form of the file.
const FORMAT: &str = "archipelago-gate-progress/1";

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Form of the file.
    format: String,
    /// What is tested: digest over the apps and the seed.
    set: String,
    /// The node.
    pub node: NodeRecord,
    /// Seed of the harms.
    pub chaos: Option<u64>,
    /// When it began (milliseconds since 1970).
    pub started: i64,
    /// The iteration under way: what it left is removed before it is begun again.
    pub under_way: Option<u32>,
    /// Iterations that have ended.
    pub done: u32,
    /// Lives by app.
    pub lives: BTreeMap<String, Vec<Life>>,
    /// Places with data by app.
    pub places: BTreeMap<String, Vec<String>>,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// The file cannot be read or written.
    #[error("the progress in {path} cannot be used: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is of another run.
    #[error("the progress in {path} is of a run with {what}")]
    Other {
        /// The file.
        path: String,
        /// What differs.
        what: &'static str,
    },
}

/// Digest over what is tested.
fn set(specs: &[AppSpec], chaos: Option<u64>) -> String {
    let mut text = format!("{chaos:?}");
    for spec in specs {
        let next = Digest::of(spec.next.as_bytes());
        text.push_str(&format!("\n{} {} {next} {:?}", spec.id(), spec.digest, spec.own));
    }
    Digest::of(text.as_bytes()).to_string()
}

impl Progress {
    /// A run that begins.
    #[must_use]
    pub fn begin(specs: &[AppSpec], chaos: Option<u64>, node: NodeRecord, now: i64) -> Self {
        let of = |spec: &AppSpec| (spec.id().to_owned(), Vec::new());
        Self {
            format: FORMAT.to_owned(),
            set: set(specs, chaos),
            node,
            chaos,
            started: now,
            under_way: None,
            done: 0,
            lives: specs.iter().map(of).collect(),
            places: BTreeMap::new(),
        }
    }

    /// The run of a file, or nothing when there is no file.
    ///
    /// # Errors
    /// The file cannot be read, or is of another run.
    pub fn open(
        path: &Path,
        specs: &[AppSpec],
        chaos: Option<u64>,
        node: &NodeRecord,
    ) -> Result<Option<Self>, ProgressError> {
        let name = || path.display().to_string();
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ProgressError::File { path: name(), source }),
        };
        let progress: Self = serde_json::from_slice(&text)
            .map_err(|error| ProgressError::File { path: name(), source: error.into() })?;
        let other = |what| Err(ProgressError::Other { path: name(), what });
        match () {
            () if progress.format != FORMAT => other("another form"),
            () if progress.chaos != chaos => other("another seed"),
            () if progress.set != set(specs, chaos) => other("other apps"),
            () if progress.node.machine != node.machine => other("another node"),
            () if progress.node.platform != node.platform => {
                other("another version of the platform")
            }
            () => Ok(Some(progress)),
        }
    }

    /// Writes the file: whole, or as it was.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self, path: &Path) -> Result<(), ProgressError> {
        let write = || {
            let part = path.with_extension("part");
            let mut file = std::fs::File::create(&part)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&part, path)
        };
        write().map_err(|source| ProgressError::File { path: path.display().to_string(), source })
    }

    /// An iteration has ended.
    pub fn end(&mut self, iteration: u32, lives: BTreeMap<String, Life>, boot: &str) {
        for (app, life) in lives {
            self.lives.entry(app).or_default().push(life);
        }
        if self.node.boots.last().is_none_or(|last| last != boot) {
            self.node.boots.push(boot.to_owned());
        }
        self.done = iteration;
        self.under_way = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_test::OwnTest;

    fn node(machine: &str) -> NodeRecord {
        NodeRecord {
            machine: machine.into(),
            boots: vec!["b1".into()],
            hostname: "n".into(),
            platform: "1".into(),
            os: String::new(),
            kernel: String::new(),
            architecture: String::new(),
            podman: String::new(),
            systemd: String::new(),
            controllers: Vec::new(),
            driver: "local".into(),
        }
    }

    fn specs(version: &str) -> Vec<AppSpec> {
        let text = format!(
            "app:\n  id: shelf\n  name: S\n  version: {version}\n  services:\n    main:\n      image: localhost/shelf:1\n"
        );
        vec![AppSpec::new(text, OwnTest::default(), None).unwrap()]
    }

    #[test]
    fn a_run_goes_on_where_it_stood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        let here = node("m");
        assert_eq!(Progress::open(&path, &specs("1.0.0"), Some(3), &here).unwrap(), None);
        let mut run = Progress::begin(&specs("1.0.0"), Some(3), here.clone(), 5);
        let life =
            Life { iteration: 1, started: 5, ended: 6, phases: Vec::new(), harms: Vec::new() };
        run.end(1, BTreeMap::from([("shelf".to_owned(), life)]), "b2");
        run.under_way = Some(2);
        run.save(&path).unwrap();
        let found = Progress::open(&path, &specs("1.0.0"), Some(3), &here).unwrap().unwrap();
        assert_eq!(found, run);
        assert_eq!((found.done, found.under_way), (1, Some(2)));
        assert_eq!(found.node.boots, ["b1", "b2"]);
        assert!(!path.with_extension("part").exists());
    }

    #[test]
    fn another_run_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        Progress::begin(&specs("1.0.0"), None, node("m"), 5).save(&path).unwrap();
        let open = |version, chaos, machine| {
            Progress::open(&path, &specs(version), chaos, &node(machine)).map(|run| run.is_some())
        };
        assert!(open("1.0.0", None, "m").unwrap());
        for (version, chaos, machine) in
            [("1.0.1", None, "m"), ("1.0.0", Some(1), "m"), ("1.0.0", None, "other")]
        {
            assert!(matches!(open(version, chaos, machine), Err(ProgressError::Other { .. })));
        }
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(open("1.0.0", None, "m"), Err(ProgressError::File { .. })));
    }
}
