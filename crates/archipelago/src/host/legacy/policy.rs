//! Containers that Podman starts by itself, at boot or after their end: while one is kept aside it is
//! not started, or it would take the ports and the data of the app that took its place.

use std::collections::BTreeMap;

use archy_engine::ports::HostResult;
use archy_store::files as store;
use archy_types::{AppId, UserError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{CHANGE_DEADLINE, SystemHost, error};

/// What was set before, in the directory of an app's adoption: container id to policy.
const NOTE: &str = "restart.json";

/// After which ends Podman starts a container again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Policy {
    /// Podman's word.
    name: String,
    /// Most attempts; 0 is without end.
    #[serde(default)]
    attempts: u64,
}

/// Id and policy of a container, out of all that Podman tells; nothing when it never starts it.
fn policy(seen: &Value) -> Option<(String, Policy)> {
    let id = seen.get("Id")?.as_str()?.to_owned();
    let set = seen.pointer("/HostConfig/RestartPolicy")?;
    let name = set.get("Name")?.as_str().filter(|name| !matches!(*name, "" | "no"))?.to_owned();
    let attempts = set.get("MaximumRetryCount").and_then(Value::as_u64).unwrap_or(0);
    Some((id, Policy { name, attempts }))
}

type Policies = BTreeMap<String, Policy>;

impl SystemHost {
    fn policies(&self, app: &AppId) -> Policies {
        let text = std::fs::read(self.adopted_dir(app).join(NOTE));
        text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn note_policies(&self, app: &AppId, all: &Policies) -> Result<(), UserError> {
        let dir = self.adopted_dir(app);
        store::private_dir(&dir).map_err(|e| error::file(&e))?;
        let text = serde_json::to_vec_pretty(all)
            .map_err(|error| UserError::new("internal", format!("A restart policy: {error}")))?;
        store::write_atomic(&dir.join(NOTE), &text, 0o600).map_err(|e| error::file(&e))
    }

    /// From now on Podman starts a container only when it is asked to. What was set is noted first.
    pub(super) async fn never_starts_by_itself(&self, app: &AppId, name: &str) -> HostResult<()> {
        let podman = self.podman.within(CHANGE_DEADLINE);
        let seen = podman.describe_container(name).await.map_err(|e| error::podman(&e))?;
        let Some((id, policy)) = seen.as_ref().and_then(policy) else { return Ok(()) };
        let noted = app.clone();
        self.blocking(move |host| {
            let mut all = host.policies(&noted);
            all.insert(id, policy);
            host.note_policies(&noted, &all)
        })
        .await?;
        podman.set_restart_policy(name, "no", 0).await.map_err(|e| error::podman(&e))
    }

    /// Podman starts a container by itself as it did before it was set aside.
    pub(super) async fn starts_as_before(&self, app: &AppId, name: &str) -> HostResult<()> {
        let noted = app.clone();
        let mut all = self.blocking(move |host| Ok(host.policies(&noted))).await?;
        if all.is_empty() {
            return Ok(());
        }
        let podman = self.podman.within(CHANGE_DEADLINE);
        let seen = podman.describe_container(name).await.map_err(|e| error::podman(&e))?;
        let id = seen.as_ref().and_then(|seen| seen.get("Id")?.as_str()).unwrap_or_default();
        let Some(policy) = all.remove(id) else { return Ok(()) };
        podman
            .set_restart_policy(id, &policy.name, policy.attempts)
            .await
            .map_err(|e| error::podman(&e))?;
        let noted = app.clone();
        self.blocking(move |host| host.note_policies(&noted, &all)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_is_read() {
        let seen = |set: Value| json!({ "Id": "c1", "HostConfig": { "RestartPolicy": set } });
        let of = |name: &str, attempts| Some((name.to_owned(), attempts));
        for (set, expected) in [
            (json!({ "Name": "always", "MaximumRetryCount": 0 }), of("always", 0)),
            (json!({ "Name": "on-failure", "MaximumRetryCount": 3 }), of("on-failure", 3)),
            (json!({ "Name": "unless-stopped" }), of("unless-stopped", 0)),
            (json!({ "Name": "no" }), None),
            (json!({ "Name": "" }), None),
            (Value::Null, None),
        ] {
            let found = policy(&seen(set.clone())).map(|(_, found)| (found.name, found.attempts));
            assert_eq!(found, expected, "{set}");
        }
    }
}
