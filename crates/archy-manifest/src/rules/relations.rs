//! What an app needs and what it gives.

use archy_types::AppId;

use super::Rules;
use crate::check::shorten;
use crate::model::{DependsOn, Requirement, RequirementTarget, Role};
use crate::path::Path;
use crate::schema::{AppDependency, Dependency};

impl Rules<'_, '_, '_> {
    pub(super) fn requires(&mut self) -> Vec<Requirement> {
        let app = self.app;
        let mut out = Vec::new();
        for (index, dependency) in app.dependencies.iter().enumerate() {
            let path = self.root.key("dependencies").index(index);
            out.extend(self.dependency(dependency, &path));
        }
        for (index, require) in app.requires.iter().enumerate() {
            let path = self.root.key("requires").index(index);
            let target = match (&require.app, &require.role) {
                (Some(id), None) => self.app_ref(id, &path.key("app")),
                (None, Some(role)) => self.role(role, &path.key("role")),
                _ => {
                    let message = "exactly one of `app` and `role` is needed";
                    self.error("one-of", &path, message, "write `app: <id>` or `role: <name>`");
                    None
                }
            };
            let condition = require.condition.unwrap_or(DependsOn::Started);
            if condition == DependsOn::Completed {
                let message = "another app never completes";
                let path = path.key("condition");
                self.error(
                    "unreachable-condition",
                    &path,
                    message,
                    "use `started`, `healthy` or `ready`",
                );
            }
            let version = self.version_range(require.version.as_deref(), &path.key("version"));
            if let Some(target) = target {
                out.push(Requirement { target, version, optional: require.optional, condition });
            }
        }
        out
    }

    fn dependency(&mut self, dependency: &Dependency, path: &Path) -> Option<Requirement> {
        let entry = match dependency {
            Dependency::Id(id) => AppDependency { app_id: Some(id.clone()), ..Default::default() },
            Dependency::Entry(entry) => entry.clone(),
        };
        let Some(id) = &entry.app_id else {
            if entry.storage.is_none() {
                let message = "one of `app_id` and `storage` is needed";
                self.error("one-of", path, message, "write `app_id: <id>` or `storage: 10Gi`");
            }
            return None;
        };
        let place =
            if matches!(dependency, Dependency::Id(_)) { path.clone() } else { path.key("app_id") };
        let target = self.app_ref(id, &place)?;
        let version = self.version_range(entry.version.as_deref(), &path.key("version"));
        Some(Requirement {
            target,
            version,
            optional: entry.optional,
            condition: DependsOn::Started,
        })
    }

    fn app_ref(&mut self, id: &str, path: &Path) -> Option<RequirementTarget> {
        match AppId::new(id) {
            Ok(app) if app.as_str() == self.id => {
                let message = "the app needs itself";
                self.error("dependency-cycle", path, message, "delete the entry");
                None
            }
            Ok(app) => Some(RequirementTarget::App(app)),
            Err(error) => {
                let message = format!("the id {:?} {error}", shorten(id));
                self.error("invalid-id", path, message, "write the id of an app");
                None
            }
        }
    }

    fn role(&mut self, role: &str, path: &Path) -> Option<RequirementTarget> {
        if let Err(error) = archy_types::id::check_dns_label(role) {
            let message = format!("the role {:?} {error}", shorten(role));
            self.error("invalid-id", path, message, "use a-z, 0-9 and -, for example `bitcoin`");
            return None;
        }
        Some(RequirementTarget::Role(role.to_owned()))
    }

    fn version_range(&mut self, text: Option<&str>, path: &Path) -> Option<String> {
        let text = text?;
        if semver::VersionReq::parse(text).is_err() {
            let message = format!("`{}` is not a version range", shorten(text));
            self.error("invalid-version", path, message, "write for example `>=1.2, <2`");
        }
        Some(text.to_owned())
    }

    pub(super) fn provides(&mut self) -> Vec<Role> {
        let mut out = Vec::new();
        for (index, provide) in self.app.provides.iter().enumerate() {
            let path = self.root.key("provides").index(index);
            self.role(&provide.role, &path.key("role"));
            let gives = self.app.named_volumes.contains_key(&provide.role);
            let main = |service: &super::Written<'_>| service.name.as_str() == "main";
            if gives && self.services.len() > 1 && !self.services.iter().any(main) {
                let message =
                    "the app gives a volume out, and none of its services is called `main`";
                self.error("missing-service", &path.key("role"), message, "call one `main`");
            }
            if let Some(version) = &provide.version
                && lenient_version(version).is_none()
            {
                let message = format!("`{}` is not a version", shorten(version));
                let path = path.key("version");
                self.error("invalid-version", &path, message, "write for example 28.0");
            }
            out.push(Role { role: provide.role.clone(), version: provide.version.clone() });
        }
        out
    }

    pub(super) fn storage(&mut self) -> Option<u64> {
        let sizes = self.app.dependencies.iter().filter_map(|dependency| match dependency {
            Dependency::Entry(entry) => entry.storage.map(|size| size.0),
            Dependency::Id(_) => None,
        });
        sizes.reduce(u64::saturating_add)
    }
}

/// Reads `28`, `28.0` and `28.0.1` as a version, for comparison with a range.
#[must_use]
pub fn lenient_version(text: &str) -> Option<semver::Version> {
    let (numbers, rest) = match text.find(['-', '+']) {
        Some(at) => text.split_at_checked(at)?,
        None => (text, ""),
    };
    let missing = 3_usize.checked_sub(numbers.split('.').count())?;
    semver::Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(missing))).ok()
}
