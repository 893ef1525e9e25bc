//! Paths: in the app's data directory, in the package, in the container.

use super::Rules;
use crate::check::shorten;
use crate::path::Path;

/// Where app data lies on a node; manifests name it in absolute paths.
pub const DATA_ROOT: &str = "/var/lib/archipelago";

/// Why a path is refused.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    Outside,
    Parent,
    Characters,
}

/// Cleans a relative path: no empty and no `.` parts.
fn clean(text: &str) -> Result<String, Problem> {
    if text.chars().any(|c| c.is_control() || matches!(c, ':' | ',' | '\\')) || text.len() > 1024 {
        return Err(Problem::Characters);
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(Problem::Parent),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

impl Rules<'_, '_, '_> {
    /// A path in the app's data directory, relative to it (empty: the directory itself). Takes a
    /// relative path or one below `/var/lib/archipelago/<id>`.
    pub(super) fn data_path(&mut self, text: &str, path: &Path) -> Option<String> {
        let own = format!("{DATA_ROOT}/{}", self.id);
        let relative = match text.strip_prefix(&own) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(rest),
            _ if text.starts_with(['/', '~', '$']) => Err(Problem::Outside),
            _ => Ok(text),
        };
        match relative.and_then(clean) {
            Ok(clean) => Some(clean),
            Err(problem) => {
                self.path_problem(&problem, text, path, &own);
                None
            }
        }
    }

    /// The same for a file: the directory itself is refused.
    pub(super) fn data_file(&mut self, text: &str, path: &Path) -> Option<String> {
        let relative = self.data_path(text, path)?;
        if relative.is_empty() || text.ends_with('/') {
            self.error("invalid-path", path, "is not the path of a file", "name a file");
            return None;
        }
        Some(relative)
    }

    /// A path beside the manifest.
    pub(super) fn package_path(&mut self, text: &str, path: &Path) -> Option<String> {
        let problem = match clean(text) {
            Ok(_) if text.starts_with(['/', '~']) => Problem::Outside,
            Ok(clean) => return Some(if clean.is_empty() { ".".to_owned() } else { clean }),
            Err(problem) => problem,
        };
        self.path_problem(&problem, text, path, "the manifest's directory");
        None
    }

    /// An absolute path in a container.
    pub(super) fn container_path(&mut self, text: &str, path: &Path) -> Option<String> {
        match clean(text) {
            Ok(clean) if text.starts_with('/') => Some(format!("/{clean}")),
            Ok(_) => {
                let message = format!("`{}` is not absolute", shorten(text));
                self.error("invalid-path", path, message, "start it with `/`");
                None
            }
            Err(problem) => {
                self.path_problem(&problem, text, path, "the container");
                None
            }
        }
    }

    fn path_problem(&mut self, problem: &Problem, text: &str, path: &Path, place: &str) {
        let text = shorten(text);
        match problem {
            Problem::Outside => self.error(
                "host-path",
                path,
                format!("`{text}` lies outside {place}"),
                "name a path inside it, best a relative one such as `data`",
            ),
            Problem::Parent => self.error(
                "host-path",
                path,
                format!("`{text}` leaves {place} with `..`"),
                "write the path without `..`",
            ),
            Problem::Characters => self.error(
                "invalid-path",
                path,
                format!("`{text}` has a control character, `:`, `,` or `\\`, or is too long"),
                "use letters, digits, `.`, `_`, `-` and `/`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (text, clean_text) in [
            ("", Ok("")),
            ("a", Ok("a")),
            ("./a//b/", Ok("a/b")),
            ("a/../b", Err(Problem::Parent)),
            ("a:b", Err(Problem::Characters)),
            ("a\nb", Err(Problem::Characters)),
        ] {
            assert_eq!(clean(text), clean_text.map(str::to_owned), "{text:?}");
        }
    }
}
