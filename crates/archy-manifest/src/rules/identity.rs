//! Id, name, version, platform, update policy.

use archy_types::AppId;

use super::Rules;
use crate::diagnostic::Severity;
use crate::model::{BackupPolicy, UpdatePolicy, UpdateStrategy, Upstream};
use crate::path::Path;
use crate::schema::{App, Strategy};
use crate::sink::Sink;

/// The id; nothing when it is wrong.
pub(super) fn id(app: &App, root: &Path, sink: &mut Sink<'_>) -> Option<AppId> {
    AppId::new(app.id.as_str())
        .map_err(|error| {
            let message = format!("the id {:?} {error}", crate::check::shorten(&app.id));
            let mend = "use a DNS label of a-z, 0-9 and -, for example `my-app`";
            sink.report(Severity::Error, "invalid-id", &root.key("id"), message, mend);
        })
        .ok()
}

pub(super) fn upstream(written: &crate::schema::Upstream) -> Upstream {
    Upstream { kind: written.kind.clone(), repo: written.repo.clone() }
}

impl Rules<'_, '_, '_> {
    pub(super) fn identity(&mut self) {
        let app = self.app;
        for (key, text, longest) in [("name", &app.name, 100), ("version", &app.version, 64)] {
            let path = self.root.key(key);
            if text.trim().is_empty() {
                self.error("missing-value", &path, format!("`{key}` is empty"), "fill it in");
            } else if text.chars().any(char::is_control) || text.chars().nth(longest).is_some() {
                let message = format!("`{key}` is longer than one line of {longest} characters");
                self.error("invalid-text", &path, message, "shorten it");
            }
        }
        if let Some(text) = &app.min_platform
            && semver::Version::parse(text).is_err()
        {
            let message = format!("`{}` is not a version", crate::check::shorten(text));
            let path = self.root.key("min_platform");
            self.error("invalid-version", &path, message, "write three numbers, for example 0.1.0");
        }
    }

    pub(super) fn backup(&mut self) -> BackupPolicy {
        let Some(written) = &self.app.backup else { return BackupPolicy::default() };
        let base = self.root.key("backup");
        for (key, list) in [("include", &written.include), ("exclude", &written.exclude)] {
            for (index, text) in list.iter().enumerate() {
                let path = base.key(key).index(index);
                if !self.app.named_volumes.contains_key(text) {
                    self.data_path(text, &path);
                }
            }
        }
        BackupPolicy { include: written.include.clone(), exclude: written.exclude.clone() }
    }

    pub(super) fn update(&mut self) -> UpdatePolicy {
        let written = self.app.update.clone().unwrap_or_default();
        let path = self.root.key("update").key("soak");
        let soak = written.soak.map_or(60, |soak| u64::from(soak.0));
        let soak = self.range(&path, soak, 0, 86_400, " s");
        UpdatePolicy {
            strategy: match written.strategy {
                None | Some(Strategy::Recreate) => UpdateStrategy::Recreate,
                Some(Strategy::Rolling) => UpdateStrategy::Rolling,
            },
            soak_secs: u32::try_from(soak).unwrap_or(60),
            downgrade: written.downgrade,
        }
    }
}
