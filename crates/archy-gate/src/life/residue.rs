//! What is left of an app that is gone.

use std::collections::BTreeSet;

use archy_manifest::names;

use super::{Stage, Subject};
use crate::node::{Call, Node, must};
use crate::outcome::Fault;

/// Names of everything that may be there for an app.
#[derive(Debug, Default, PartialEq, Eq)]
struct Traces {
    units: BTreeSet<String>,
    volumes: BTreeSet<String>,
    network: String,
    secrets: BTreeSet<String>,
}

fn traces(subject: &Subject) -> Traces {
    let manifest = &subject.spec.manifest;
    let id = &manifest.id;
    let volumes: BTreeSet<String> =
        manifest.volumes.keys().map(|volume| names::volume(id, volume)).collect();
    let mut units = BTreeSet::from([format!("{id}.network")]);
    units.extend(volumes.iter().map(|volume| format!("{volume}.volume")));
    for service in manifest.services.keys() {
        let container = names::container(manifest, service);
        units.extend([format!("{container}.container"), format!("{container}.build")]);
    }
    let secrets = manifest.secrets.keys().cloned().collect();
    Traces { units, volumes, network: names::network(id), secrets }
}

impl<N: Node> Stage<'_, N> {
    /// Nothing is left of an app but, unless it was purged, its data and secrets.
    pub(super) async fn nothing_left(&self, subject: &Subject, purged: bool) -> Result<(), Fault> {
        let found = self.found(subject, purged).await?;
        if found.is_empty() { Ok(()) } else { Err(Fault::Residue(found)) }
    }

    /// Everything that is there of an app.
    ///
    /// # Errors
    /// The node cannot be asked.
    pub(crate) async fn found(&self, subject: &Subject, data: bool) -> Result<Vec<String>, Fault> {
        let traces = traces(subject);
        let id = subject.spec.id();
        let mut found = Vec::new();
        let label = format!("label=io.archipelago.app={id}");
        let containers = ["podman", "ps", "-a", "--filter", &label, "--format", "{{.Names}}"];
        found.extend(self.names(&containers, |_| true, "container").await?);
        // a name that no app has: the directory may not be there yet
        let units = ["ls", "-1", "--", &self.info.unit_dir];
        found.extend(self.listed(&units, |name| traces.units.contains(name), "unit file").await?);
        let networks = ["podman", "network", "ls", "--format", "{{.Name}}"];
        found.extend(self.names(&networks, |name| name == traces.network, "network").await?);
        let secrets = ["podman", "secret", "ls", "--format", "{{.Name}}"];
        let is_secret = |name: &str| traces.secrets.contains(name);
        found.extend(self.names(&secrets, is_secret, "podman secret").await?);
        if data {
            let volumes = ["podman", "volume", "ls", "--format", "{{.Name}}"];
            let is_volume = |name: &str| traces.volumes.contains(name);
            found.extend(self.names(&volumes, is_volume, "volume").await?);
            let root = &self.info.data_dir;
            found.extend(self.listed(&["ls", "-1", "--", root], |name| name == id, "data").await?);
            let secrets = format!("{root}/secrets");
            let files = ["ls", "-1", "--", &secrets];
            found.extend(self.listed(&files, is_secret, "secret").await?);
            let snapshots = format!("{root}/snapshots");
            let files = ["ls", "-1", "--", &snapshots];
            found.extend(self.listed(&files, |name| name == id, "snapshots").await?);
        }
        Ok(found)
    }

    async fn names(
        &self,
        argv: &[&str],
        is_ours: impl Fn(&str) -> bool,
        what: &str,
    ) -> Result<Vec<String>, Fault> {
        let output = must(self.node, Call::user(argv)).await?;
        let ours = output.lines().filter(|name| is_ours(name));
        Ok(ours.map(|name| format!("{what} {name}")).collect())
    }

    /// As [`Self::names`] of a directory; one that is not there holds nothing.
    async fn listed(
        &self,
        argv: &[&str],
        is_ours: impl Fn(&str) -> bool,
        what: &str,
    ) -> Result<Vec<String>, Fault> {
        let output = self.node.exec(Call::user(argv)).await?;
        if !output.ok() && !output.stderr.contains("No such file") {
            return Err(Fault::NodeAway(format!("`{}`: {}", argv.join(" "), output.said())));
        }
        let ours = output.lines().filter(|name| is_ours(name));
        Ok(ours.map(|name| format!("{what} {name}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_test::OwnTest;
    use crate::spec::AppSpec;

    #[test]
    fn names_are_the_manifests() {
        let text = "app:\n  id: shelf\n  name: S\n  version: 1.0.0\n  services:\n    main:\n      image: localhost/shelf:1\n    db:\n      image: localhost/db:1\n      volumes: [{ type: volume, source: rows, target: /rows }]\n  named_volumes: { rows: {} }\n  secrets: { shelf-key: hex32 }\n";
        let spec = AppSpec::new(text.into(), OwnTest::default(), None).unwrap();
        let traces = traces(&Subject::new(spec, false));
        let units: Vec<&str> = traces.units.iter().map(String::as_str).collect();
        assert_eq!(
            units,
            [
                "shelf-db.build",
                "shelf-db.container",
                "shelf-rows.volume",
                "shelf.build",
                "shelf.container",
                "shelf.network"
            ]
        );
        assert_eq!(traces.volumes, BTreeSet::from(["shelf-rows".to_owned()]));
        assert_eq!(traces.secrets, BTreeSet::from(["shelf-key".to_owned()]));
    }
}
