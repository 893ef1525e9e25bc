//! Where settings come from: file, environment, flags; the later one wins.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Prefix of the environment variables: the key `host_ip` is `ARCHIPELAGO_HOST_IP`.
const PREFIX: &str = "ARCHIPELAGO_";

/// Largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;

/// Why the configuration is refused. The daemon ends with exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{} is not valid TOML: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words, with line and column.
        reason: String,
    },
    /// A value does not fit its key.
    #[error("{origin}: `{key}` must be {expected}, but is {found:?}")]
    Value {
        /// Where the value is from.
        origin: String,
        /// The key.
        key: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// Something that has no default here.
    #[error("{what} is not known; set {how}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How to set it.
        how: &'static str,
    },
}

/// The raw settings of all sources.
#[derive(Debug, Default)]
pub struct Sources {
    flags: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    file: toml::Table,
    file_path: PathBuf,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A value with the name of its source.
struct Found {
    text: String,
    origin: String,
}

impl Sources {
    /// Settings from an environment (all of it; other variables are left alone) and flags.
    #[must_use]
    pub fn new(
        env: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        Self {
            // an empty variable counts as not set
            env: env.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            flags: flags.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds a file. One that does not exist is an error only when `required`.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is not TOML.
    pub fn read_file(&mut self, path: &Path, required: bool) -> Result<(), ConfigError> {
        path.clone_into(&mut self.file_path);
        let refused = |reason: String| ConfigError::Read { path: path.to_owned(), reason };
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
                return Ok(());
            }
            Err(error) => return Err(refused(error.to_string())),
            Ok(data) if data.len() > MAX_FILE => {
                return Err(refused(format!("it is larger than {MAX_FILE} bytes")));
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        self.file = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(())
    }

    /// A variable of the environment that is not one of ours, for example `HOME`.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str)
    }

    fn find(&self, key: &'static str) -> Option<Found> {
        self.asked.borrow_mut().insert(key);
        if let Some(text) = self.flags.get(key) {
            let origin = format!("flag --{}", key.replace('_', "-"));
            return Some(Found { text: text.clone(), origin });
        }
        let variable = format!("{PREFIX}{}", key.to_uppercase());
        if let Some(text) = self.env.get(&variable) {
            return Some(Found { text: text.clone(), origin: format!("environment {variable}") });
        }
        let text = match self.file.get(key)? {
            toml::Value::String(text) if text.is_empty() => return None,
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                items.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(":")
            }
            other => other.to_string(),
        };
        Some(Found { text, origin: self.file_path.display().to_string() })
    }

    /// A text.
    #[must_use]
    pub fn text(&self, key: &'static str) -> Option<String> {
        self.find(key).map(|found| found.text)
    }

    /// A path; it must be absolute.
    ///
    /// # Errors
    /// It is not absolute.
    pub fn path(&self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let Some(found) = self.find(key) else { return Ok(None) };
        let path = PathBuf::from(&found.text);
        if path.is_absolute() {
            return Ok(Some(path));
        }
        Err(found.refuse(key, "an absolute path"))
    }

    /// A value that parses from text.
    ///
    /// # Errors
    /// It does not parse; `expected` says what it should be.
    pub fn parse<T: FromStr>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        let Some(found) = self.find(key) else { return Ok(None) };
        found.text.trim().parse().map(Some).map_err(|_| found.refuse(key, expected))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// It is neither `true`, `false`, `1`, `0`, `yes` nor `no`.
    pub fn switch(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(found) = self.find(key) else { return Ok(None) };
        match found.text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(Some(true)),
            "false" | "0" | "no" => Ok(Some(false)),
            _ => Err(found.refuse(key, "true or false")),
        }
    }

    /// Sentences about keys that nobody asked for: misspelt ones, with a guess. Call it last.
    #[must_use]
    pub fn unknown(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        let variables = self.env.keys().filter_map(|name| name.strip_prefix(PREFIX));
        let from_env = variables.map(|name| (name.to_lowercase(), "the environment".to_owned()));
        let file = self.file_path.display().to_string();
        let from_file = self.file.keys().map(|key| (key.clone(), file.clone()));
        from_file
            .chain(from_env)
            .filter(|(key, _)| !asked.contains(key.as_str()))
            .map(|(key, place)| {
                let near = asked
                    .iter()
                    .map(|known| (strsim::damerau_levenshtein(known, &key), known))
                    .min()
                    .filter(|(distance, _)| *distance <= 3);
                let guess =
                    near.map_or(String::new(), |(_, known)| format!("; did you mean `{known}`?"));
                format!("{place}: unknown setting `{key}` is ignored{guess}")
            })
            .collect()
    }
}

impl Found {
    fn refuse(&self, key: &str, expected: &'static str) -> ConfigError {
        ConfigError::Value {
            origin: self.origin.clone(),
            key: key.to_owned(),
            expected,
            found: self.text.clone(),
        }
    }
}
