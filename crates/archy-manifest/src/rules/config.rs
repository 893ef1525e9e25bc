//! Settings for the owner's form.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{Rules, Services};
use crate::check::shorten;
use crate::model::{Setting, SettingKind, SettingTarget};
use crate::path::Path;
use crate::schema::{self, SettingType};
use crate::template::Placeholder;

impl Rules<'_, '_, '_> {
    pub(super) fn config(&mut self, services: &Services) -> IndexMap<String, Setting> {
        let mut out = IndexMap::new();
        for (key, written) in &self.app.config {
            let path = self.root.key("config").key(key);
            self.setting_key(key, &path);
            let Some(kind) = self.setting_kind(written, &path) else { continue };
            if let Some(default) = &written.default {
                self.setting_default(default, &kind, &path.key("default"));
            }
            let targets = self.targets(key, written, &path, services);
            if targets.is_empty() && !self.used_settings.contains(key) {
                let message = "the setting reaches nothing";
                let mend = "add `targets:`, or name it as {{config:KEY}} in a template";
                self.warn("unused-setting", &path, message, mend);
            }
            let setting = Setting {
                label: written.label.clone().unwrap_or_else(|| key.clone()),
                help: written.help.clone(),
                kind,
                default: written.default.clone(),
                required: written.required,
                targets,
            };
            out.insert(key.clone(), setting);
        }
        out
    }

    fn setting_key(&mut self, key: &str, path: &Path) {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if key.is_empty() || key.len() > 64 || !key.chars().all(word) {
            let message = format!("`{}` is not a setting's key", shorten(key));
            self.error("invalid-id", path, message, "use letters, digits, `_` and `-`");
        }
    }

    fn setting_kind(&mut self, written: &schema::Setting, path: &Path) -> Option<SettingKind> {
        Some(match written.kind? {
            SettingType::Text => {
                if let (Some(least), Some(most)) = (written.min_length, written.max_length)
                    && least > most
                {
                    let message = "`min_length` is above `max_length`";
                    self.error("out-of-range", &path.key("min_length"), message, "swap the two");
                }
                if let Some(pattern) = &written.pattern
                    && let Err(error) = crate::pattern::Pattern::parse(pattern)
                {
                    let mend = "use characters, `.`, classes like [a-z0-9_-] and ?, *, +";
                    self.error("invalid-pattern", &path.key("pattern"), error.to_string(), mend);
                }
                SettingKind::Text {
                    min_length: written.min_length,
                    max_length: written.max_length,
                    pattern: written.pattern.clone(),
                }
            }
            SettingType::Number => {
                if let (Some(least), Some(most)) = (written.min, written.max)
                    && least > most
                {
                    self.error(
                        "out-of-range",
                        &path.key("min"),
                        "`min` is above `max`",
                        "swap the two",
                    );
                }
                SettingKind::Number { min: written.min, max: written.max, integer: written.integer }
            }
            SettingType::Boolean => SettingKind::Boolean,
            SettingType::Choice => {
                if written.choices.is_empty() {
                    let message = "a choice needs `choices`";
                    let mend = "add `choices: [one, two]`";
                    self.error("missing-key", &path.key("choices"), message, mend);
                }
                SettingKind::Choice(written.choices.clone())
            }
            SettingType::Secret => SettingKind::Secret,
            SettingType::Port => SettingKind::Port,
            SettingType::Path => SettingKind::Path,
        })
    }

    fn setting_default(&mut self, default: &Json, kind: &SettingKind, path: &Path) {
        if *kind == SettingKind::Secret {
            let message = "a secret cannot have a default that everybody can read";
            return self.error("invalid-default", path, message, "delete it, or use `secrets`");
        }
        if let Err(reason) = kind.check(default) {
            self.error(
                "invalid-default",
                path,
                format!("the default {reason}"),
                "mend the default",
            );
        }
    }

    fn targets(
        &mut self,
        key: &str,
        written: &schema::Setting,
        path: &Path,
        services: &Services,
    ) -> Vec<SettingTarget> {
        let mut out = Vec::new();
        for (index, target) in written.targets.iter().enumerate() {
            let path = path.key("targets").index(index);
            match (&target.env, &target.file) {
                (Some(variable), None) => {
                    let service = self.service_ref(target.service.as_deref(), &path);
                    self.target_variable(variable, &service, services, &path.key("env"));
                    out.push(SettingTarget::Env { service, variable: variable.clone() });
                }
                (None, Some(file)) => {
                    if let Some(file) = self.target_file(key, file, &path.key("file")) {
                        out.push(SettingTarget::File(file));
                    }
                }
                _ => {
                    let message = "exactly one of `env` and `file` is needed";
                    self.error("one-of", &path, message, "write `env: VARIABLE` or `file: path`");
                }
            }
        }
        for file in &self.files {
            let target = SettingTarget::File(file.path.clone());
            if names(&file.content, key) && !out.contains(&target) {
                out.push(target);
            }
        }
        out
    }

    fn target_variable(
        &mut self,
        variable: &str,
        service: &archy_types::ServiceName,
        services: &Services,
        path: &Path,
    ) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty()
            || variable.starts_with(|c: char| c.is_ascii_digit())
            || !variable.chars().all(word)
        {
            let message = format!("`{}` is not a variable's name", shorten(variable));
            self.error("invalid-variable", path, message, "use letters, digits and `_`");
        }
        let taken = services.get(service).is_some_and(|service| {
            service.derived_env.contains_key(variable) || service.secret_env.contains_key(variable)
        });
        if taken {
            let message = format!("the variable `{variable}` is set by the service as well");
            self.warn("duplicate-variable", path, message, "keep one of the two");
        }
    }

    fn target_file(&mut self, key: &str, file: &str, path: &Path) -> Option<String> {
        let file = self.data_file(file, path)?;
        match self.files.iter().find(|known| known.path == file) {
            None => {
                let message = format!("`{}` is not in `files`", shorten(&file));
                self.error("undeclared-file", path, message, "add it to `files`");
                None
            }
            Some(known) if !names(&known.content, key) => {
                let message = format!("`{}` does not name {{{{config:{key}}}}}", shorten(&file));
                self.error("unused-setting", path, message, "add the placeholder to its content");
                None
            }
            Some(_) => Some(file),
        }
    }
}

fn names(template: &crate::template::Template, key: &str) -> bool {
    template.placeholders().any(|p| matches!(p, Placeholder::Config(name) if name == key))
}
