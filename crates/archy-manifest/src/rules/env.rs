//! The environment: plain, from templates, from secrets.

use indexmap::IndexMap;

use super::templates::Use;
use super::{Rules, Written};
use crate::check::shorten;
use crate::path::Path;
use crate::schema::{Container, DerivedEnv, Env, SecretEnv};
use crate::template::Template;

/// The three kinds of variables of one container.
#[derive(Default)]
pub(super) struct Environment {
    pub(super) plain: IndexMap<String, String>,
    pub(super) derived: IndexMap<String, Template>,
    pub(super) secret: IndexMap<String, String>,
}

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn environment(&mut self, written: &Written<'d>) -> Environment {
        let (container, path) = (written.container, &written.path);
        let mut out = Environment::default();
        if let Some(env) = written.beside.and_then(|app| app.env.as_ref()) {
            self.either(container.env.is_some(), "env");
            self.plain(env, &self.root.key("env"), &mut out);
        } else if let Some(env) = &container.env {
            self.plain(env, &path.key("env"), &mut out);
        }
        let base = path.key("derived_env");
        for (place, key, text) in derived_entries(container.derived_env.as_ref(), &base) {
            self.variable(key, &place, &out);
            let template = self.template(text, &place, Use::Env);
            out.derived.insert(key.to_owned(), template);
        }
        let base = path.key("secret_env");
        for (place, key, secret) in secret_entries(container.secret_env.as_ref(), &base) {
            self.variable(key, &place, &out);
            self.secret_ref(secret, &place);
            out.secret.insert(key.to_owned(), secret.to_owned());
        }
        out
    }

    fn plain(&mut self, env: &Env, path: &Path, out: &mut Environment) {
        let entries: Vec<(Path, &str, &str)> = match env {
            Env::Map(map) => {
                map.iter().map(|(k, v)| (path.key(k), k.as_str(), v.as_str())).collect()
            }
            Env::List(list) => {
                let mut entries = Vec::new();
                for (index, text) in list.iter().enumerate() {
                    let path = path.index(index);
                    match text.split_once('=') {
                        Some((key, value)) => entries.push((path, key, value)),
                        None => {
                            let message = format!("`{}` has no `=`", shorten(text));
                            self.error("invalid-variable", &path, message, "write `KEY=value`");
                        }
                    }
                }
                entries
            }
        };
        for (path, key, value) in entries {
            self.variable(key, &path, out);
            if value.contains("{{") {
                let message = "placeholders are not filled in here";
                self.warn("placeholder-in-env", &path, message, "move it to `derived_env`");
            }
            out.plain.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Checks a variable's name, and that it is new.
    fn variable(&mut self, key: &str, path: &Path, known: &Environment) {
        let start = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !start || !key.chars().all(word) || key.len() > 256 {
            let message = format!("`{}` is not a variable's name", shorten(key));
            let mend = "use letters, digits and `_`, not starting with a digit";
            self.error("invalid-variable", path, message, mend);
        } else if known.plain.contains_key(key)
            || known.derived.contains_key(key)
            || known.secret.contains_key(key)
        {
            let message = format!("the variable `{key}` is set twice; the last one counts");
            self.warn("duplicate-variable", path, message, "keep one of the two");
        }
    }

    /// Secrets as files in the container.
    pub(super) fn secret_files(
        &mut self,
        container: &Container,
        path: &Path,
    ) -> IndexMap<String, String> {
        let mut out = IndexMap::new();
        for (secret, target) in &container.secret_files {
            let path = path.key("secret_files").key(secret);
            self.secret_ref(secret, &path);
            if let Some(target) = self.container_path(target, &path) {
                out.insert(secret.clone(), target);
            }
        }
        out
    }
}

fn derived_entries<'e>(env: Option<&'e DerivedEnv>, base: &Path) -> Vec<(Path, &'e str, &'e str)> {
    match env {
        None => Vec::new(),
        Some(DerivedEnv::Map(map)) => {
            map.iter().map(|(k, v)| (base.key(k), k.as_str(), v.as_str())).collect()
        }
        Some(DerivedEnv::List(list)) => (list.iter().enumerate())
            .map(|(i, e)| (base.index(i).key("template"), e.key.as_str(), e.template.as_str()))
            .collect(),
    }
}

fn secret_entries<'e>(env: Option<&'e SecretEnv>, base: &Path) -> Vec<(Path, &'e str, &'e str)> {
    match env {
        None => Vec::new(),
        Some(SecretEnv::Map(map)) => {
            map.iter().map(|(k, v)| (base.key(k), k.as_str(), v.as_str())).collect()
        }
        Some(SecretEnv::List(list)) => (list.iter().enumerate())
            .map(|(i, e)| {
                (base.index(i).key("secret_file"), e.key.as_str(), e.secret_file.as_str())
            })
            .collect(),
    }
}
