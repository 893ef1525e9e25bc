//! A registry with its keys, and a node that reads it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archy_registry::client::Patience;
use archy_registry::project::{AppFiles, Days, Founders, Published, Settings};
use archy_registry::{Client, Moment, PrivateKey, Project};
use tempfile::TempDir;

use crate::server::Server;

/// 2026-11-01.
pub(crate) const NOW: Moment = Moment(1_793_491_200);

pub(crate) fn manifest(id: &str, version: &str) -> String {
    format!(
        "app:\n  id: {id}\n  name: N\n  version: {version}\n  description: D\n  container:\n    \
         image: registry.example/n:{version}\n"
    )
}

pub(crate) struct Stand {
    pub(crate) dir: TempDir,
    pub(crate) project: Project,
    pub(crate) server: Server,
    pub(crate) client: Client,
}

pub(crate) fn key(dir: &Path, name: &str) -> PrivateKey {
    let path = dir.join(name);
    if path.exists() {
        PrivateKey::read(&path).unwrap()
    } else {
        PrivateKey::create(&path).unwrap()
    }
}

/// A project whose root needs two of three keys.
pub(crate) fn found(dir: &Path) -> Project {
    let public = |name: &str| key(dir, name).public().clone();
    let roots = ["root-a", "root-b", "root-c"].map(public).to_vec();
    let keys = [
        ("root", roots),
        ("targets", vec![public("targets")]),
        ("snapshot", vec![public("online")]),
        ("timestamp", vec![public("online")]),
    ];
    let keys: BTreeMap<_, _> =
        keys.into_iter().map(|(role, keys)| (role.to_owned(), keys)).collect();
    let founders = Founders { keys, thresholds: [("root".to_owned(), 2)].into() };
    let settings = Settings { name: "Test".to_owned(), days: Days::default() };
    Project::init(&dir.join("project"), settings, &founders, NOW).unwrap()
}

impl Stand {
    /// A registry with one app, that a node trusts and has read.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let project = found(dir.path());
        let server = Server::start(project.public()).await;
        let client = Client::new(dir.path().join("node"))
            .patience(Patience { base: Duration::from_secs(2), rate: 1024 * 1024 });
        let stand = Self { dir, project, server, client };
        let published = stand.publish("demo", "1.0.0", NOW);
        let fingerprint = published.fingerprint.parse().unwrap();
        stand.client.trust(&stand.server.transport(), fingerprint).await.unwrap();
        stand.client.refresh(&stand.server.transport(), NOW).await.unwrap();
        stand.server.asked();
        stand
    }

    pub(crate) fn key(&self, name: &str) -> PrivateKey {
        key(self.dir.path(), name)
    }

    pub(crate) fn keys(&self, names: &[&str]) -> Vec<PrivateKey> {
        names.iter().map(|name| self.key(name)).collect()
    }

    /// Publishes a version of an app, with the keys that a publisher has at hand.
    pub(crate) fn publish(&self, id: &str, version: &str, now: Moment) -> Published {
        let text = manifest(id, version);
        let files = AppFiles { manifest: text.as_bytes(), ..AppFiles::default() };
        self.project.add("targets", [files], now).unwrap();
        self.sign_and_publish(now)
    }

    pub(crate) fn sign_and_publish(&self, now: Moment) -> Published {
        self.project.sign(&self.keys(&["root-a", "root-b", "targets"])).unwrap();
        self.project.publish(&self.keys(&["online"]), now).unwrap()
    }

    /// Asks for news; the code of what went wrong.
    pub(crate) async fn refresh(&self, now: Moment) -> Result<(), &'static str> {
        let refreshed = self.client.refresh(&self.server.transport(), now).await;
        refreshed.map(drop).map_err(|error| {
            eprintln!("{}: {error}. {}", error.code(), error.hint());
            error.code()
        })
    }

    /// The version of an app that the node knows.
    pub(crate) fn version(&self, id: &str) -> Option<String> {
        let known = self.client.load().unwrap()?;
        known.catalogs.iter().find_map(|catalog| {
            let document: serde_json::Value = serde_json::from_slice(&catalog.text).unwrap();
            let version = document["apps"][id]["version"].as_str()?;
            catalog.may_offer(id).then(|| version.to_owned())
        })
    }

    pub(crate) fn public(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.project.public().join(name)).unwrap()
    }

    /// A copy of what is served now.
    pub(crate) fn picture(&self, name: &str) -> PathBuf {
        let to = self.dir.path().join(name);
        copy(&self.project.public(), &to);
        to
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
