//! Files with known sums in every place that an app keeps data in, and the sums of its secrets.

use std::collections::{BTreeMap, BTreeSet};

use archy_manifest::model::MountSource;
use archy_manifest::names;
use archy_types::Digest;

use super::act::{AFTER, BEFORE};
use super::{Done, Stage, Subject};
use crate::node::{Call, Node, must, writer};
use crate::outcome::Fault;

/// Directory of our files in a place.
const DIRECTORY: &str = ".archy-gate";
/// Size of a file in bytes.
const BYTES: usize = 64 * 1024;

/// A volume or a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// For people: `volume tables`.
    pub(crate) title: String,
    /// Its path on the node.
    pub(crate) path: String,
}

/// Content that differs for every app, place and run.
fn content(app: &str, place: &str, name: &str, salt: i64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BYTES);
    let mut block = Digest::of(format!("{app}/{place}/{name}/{salt}").as_bytes()).to_string();
    while bytes.len() < BYTES {
        bytes.extend_from_slice(block.as_bytes());
        bytes.push(b'\n');
        block = Digest::of(block.as_bytes()).to_string();
    }
    bytes
}

/// `sha256sum`'s lines: path to sum.
fn sums(output: &str) -> BTreeMap<String, String> {
    let lines = output.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(sum, path)| (path.to_owned(), sum.to_owned())).collect()
}

impl<N: Node> Stage<'_, N> {
    /// Learns what must stay as it is: places, secrets, ports.
    pub(super) async fn learn(&self, subject: &Subject) -> Result<(), Fault> {
        let places = self.places(subject).await?;
        let secrets = self.secrets(subject).await?;
        let ports = self.app(subject.spec.id()).map(|app| app.ports);
        subject.learn(|known| {
            known.places = places;
            known.secrets = secrets;
            known.ports = ports;
        });
        Ok(())
    }

    async fn places(&self, subject: &Subject) -> Result<Vec<Place>, Fault> {
        let manifest = &subject.spec.manifest;
        let mounts = || manifest.services.values().flat_map(|service| &service.mounts);
        let mut directories = BTreeSet::new();
        let mut volumes = BTreeSet::new();
        for mount in mounts() {
            match &mount.source {
                MountSource::AppDir { path, .. } => _ = directories.insert(path.clone()),
                MountSource::Volume(name) => _ = volumes.insert(name.clone()),
                _ => {}
            }
        }
        let root = format!("{}/{}", self.info.data_dir, manifest.id);
        let mut places: Vec<Place> = directories
            .into_iter()
            .map(|path| {
                let title = format!("directory {path}").trim_end().to_owned();
                let path = format!("{root}/{path}").trim_end_matches('/').to_owned();
                Place { title, path }
            })
            .collect();
        for volume in volumes {
            let name = names::volume(&manifest.id, &volume);
            let argv = ["podman", "volume", "inspect", "--format", "{{.Mountpoint}}", &name];
            let path = must(self.node, Call::user(argv)).await?.stdout.trim().to_owned();
            places.push(Place { title: format!("volume {volume}"), path });
        }
        Ok(places)
    }

    /// Sums of the app's secrets by path; their values stay on the node.
    async fn secrets(&self, subject: &Subject) -> Result<BTreeMap<String, String>, Fault> {
        let names = subject.spec.manifest.secrets.keys();
        let paths: Vec<String> =
            names.map(|name| format!("{}/secrets/{name}", self.info.data_dir)).collect();
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let argv = ["sha256sum", "--"].into_iter().chain(paths.iter().map(String::as_str));
        let output = self.node.exec(Call::user(argv)).await?;
        if !output.ok() {
            let detail = output.said();
            return Err(Fault::Changed { what: "secrets", detail });
        }
        Ok(sums(&output.stdout))
    }

    /// Writes our files and does the author's steps.
    pub(super) async fn write_all(&self, subject: &Subject) -> Result<Done, Fault> {
        self.write_files(subject, BEFORE).await?;
        for step in &subject.spec.own.write {
            self.step(subject, step).await?;
        }
        subject.learn(|known| known.own_written = true);
        let known = subject.known();
        let mut done = Done::after(1);
        done.notes.push(match known.places.len() {
            0 => "the app keeps no data".to_owned(),
            count => format!("{count} places, {} steps of its own", subject.spec.own.write.len()),
        });
        Ok(done)
    }

    /// Writes a file into each place, as the owner of the place, synced.
    pub(super) async fn write_files(&self, subject: &Subject, name: &str) -> Result<(), Fault> {
        for place in subject.known().places {
            let inside = |argv: &[&str]| {
                Call::user(["podman", "unshare"].into_iter().chain(argv.iter().copied()))
            };
            let owner = must(self.node, inside(&["stat", "-c", "%u %g", &place.path])).await?;
            let mut ids = owner.stdout.split_whitespace();
            let (uid, gid) = (ids.next().unwrap_or("0"), ids.next().unwrap_or("0"));
            let directory = format!("{}/{DIRECTORY}", place.path);
            let file = format!("{directory}/{name}");
            let make = ["install", "-d", "-m", "0755", "-o", uid, "-g", gid, &directory];
            must(self.node, inside(&make)).await?;
            let bytes = content(subject.spec.id(), &place.title, name, crate::now_millis());
            let sum = Digest::of(&bytes).hex();
            let write = writer(&file);
            let write: Vec<&str> = write.iter().map(String::as_str).collect();
            must(self.node, inside(&write).input(bytes)).await?;
            must(self.node, inside(&["chown", &format!("{uid}:{gid}"), "--", &file])).await?;
            must(self.node, inside(&["sync", &file, &directory])).await?;
            subject.learn(|known| _ = known.sums.insert(file, sum));
        }
        Ok(())
    }

    /// All files are there and whole.
    pub(super) async fn data_is_whole(&self, subject: &Subject) -> Result<(), Fault> {
        let known = subject.known();
        if known.sums.is_empty() {
            return Ok(());
        }
        let argv = ["podman", "unshare", "sha256sum", "--"];
        let argv = argv.into_iter().chain(known.sums.keys().map(String::as_str));
        let output = self.node.exec(Call::user(argv)).await?;
        let now = sums(&output.stdout);
        for (path, sum) in &known.sums {
            let found = now.get(path);
            if found != Some(sum) {
                let owner = known.places.iter().find(|place| path.starts_with(&place.path));
                let place = owner.map_or_else(|| path.clone(), |place| place.title.clone());
                let detail = match found {
                    Some(_) => format!("{path} has another content"),
                    None => format!("{path} cannot be read: {}", output.said()),
                };
                return Err(Fault::DataLost { place, detail });
            }
        }
        Ok(())
    }

    /// Secrets and ports are those of before.
    pub(super) async fn nothing_changed(
        &self,
        subject: &Subject,
        ports: bool,
    ) -> Result<(), Fault> {
        let known = subject.known();
        let secrets = self.secrets(subject).await?;
        if secrets != known.secrets {
            let names: Vec<&String> = known
                .secrets
                .iter()
                .filter(|(path, sum)| secrets.get(*path) != Some(sum))
                .map(|(path, _)| path)
                .collect();
            return Err(Fault::Changed { what: "secrets", detail: format!("{names:?}") });
        }
        let now = self.app(subject.spec.id()).map(|app| app.ports);
        if ports && now != known.ports {
            let detail = format!("{:?}, before {:?}", now, known.ports);
            return Err(Fault::Changed { what: "ports", detail });
        }
        Ok(())
    }

    /// What was written after the update went with it.
    pub(super) async fn data_of_after_is_gone(&self, subject: &Subject) -> Result<(), Fault> {
        let ending = format!("/{DIRECTORY}/{AFTER}");
        subject.learn(|known| known.sums.retain(|path, _| !path.ends_with(&ending)));
        for place in subject.known().places {
            let directory = format!("{}/{DIRECTORY}", place.path);
            let list = Call::user(["podman", "unshare", "ls", "-1", "--", &directory]);
            if must(self.node, list).await?.lines().any(|name| name == AFTER) {
                let detail = format!("{AFTER} was written after the update and is still there");
                return Err(Fault::DataLost { place: place.title, detail });
            }
        }
        Ok(())
    }

    /// Takes our files out of an app that stays.
    pub(super) async fn clean(&self, subject: &Subject) {
        for place in subject.known().places {
            let directory = format!("{}/{DIRECTORY}", place.path);
            let call = Call::user(["podman", "unshare", "rm", "-rf", "--", &directory]);
            if let Err(error) = must(self.node, call).await {
                (self.tell)(&format!("  {directory} is left: {error}"));
            }
        }
    }

    /// Ends a run: apps that stay are left as they were.
    pub async fn leave(&self, subjects: &[Subject]) {
        for subject in subjects.iter().filter(|subject| subject.existing) {
            self.clean(subject).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_differ_and_sums_are_read() {
        let one = content("a", "volume x", BEFORE, 1);
        assert!(one.len() >= BYTES);
        assert_ne!(one, content("a", "volume y", BEFORE, 1));
        assert_ne!(one, content("a", "volume x", BEFORE, 2));
        let read = sums("00ff  /a b/c\n11ff  /d\nsha256sum: /e: No such file\n");
        assert_eq!(read.get("/a b/c").map(String::as_str), Some("00ff"));
        assert_eq!(read.len(), 2);
    }
}
