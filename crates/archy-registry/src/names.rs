//! Names of files in a registry. Targets are flat, so that no name leads out of a directory.

use crate::error::RegistryError;

/// The catalog of the registry itself.
pub const CATALOG: &str = "app-catalog.json";

/// Name of a role's catalog.
#[must_use]
pub fn catalog(role: &str) -> String {
    if role == crate::schema::TARGETS { CATALOG.to_owned() } else { format!("{role}.{CATALOG}") }
}

/// Name of an app's manifest.
#[must_use]
pub fn manifest(app: &str) -> String {
    format!("app.{app}.manifest.json")
}

/// Name of another file of an app: `icon.svg`, `test.json`.
#[must_use]
pub fn app_file(app: &str, rest: &str) -> String {
    format!("app.{app}.{rest}")
}

/// Checks the name of a target.
///
/// # Errors
/// [`RegistryError::Name`] for anything but letters, digits and `._-+@` in at most 200 characters that do not begin with a dot.
pub fn check_target(name: &str) -> Result<(), RegistryError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
    let good = (1..=200).contains(&name.len()) && !name.starts_with('.') && name.chars().all(fits);
    if good { Ok(()) } else { Err(RegistryError::Name(name.chars().take(80).collect())) }
}

/// Checks the name of a publisher's role.
///
/// # Errors
/// [`RegistryError::Name`] for anything but a lower-case label, and for names of top roles.
pub fn check_role(name: &str) -> Result<(), RegistryError> {
    use crate::schema::{ROOT, SNAPSHOT, TARGETS, TIMESTAMP};
    let taken = [ROOT, SNAPSHOT, TARGETS, TIMESTAMP, "app"].contains(&name);
    match archy_types::id::check_dns_label(name) {
        Ok(()) if !taken => Ok(()),
        _ => Err(RegistryError::Name(name.chars().take(80).collect())),
    }
}

/// True when a name fits a pattern with `*` and `?`. Neither stands for a slash.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // where the last star was, and what it ate so far
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') if name[n] != b'/' => (p, n) = (p + 1, n + 1),
            Some(c) if *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, eaten)) if name[eaten] != b'/' => {
                    star = Some((at, eaten + 1));
                    (p, n) = (at + 1, eaten + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("app.foo.*", "app.foo.manifest.json", true),
            ("app.foo.*", "app.foo-bar.manifest.json", false),
            ("app.*.manifest.json", "app.x.manifest.json", true),
            ("*", "a/b", false),
            ("a?c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b", "ab1", false),
            ("", "", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for bad in ["", "../x", "a/b", ".hidden", "a\\b", "a%2fb", "a b", "ä"] {
            assert_eq!(check_target(bad).unwrap_err().code(), "registry-name", "{bad}");
        }
        check_target("app.foo.manifest.json").unwrap();
        for bad in ["targets", "root", "../x", "A", "app", ""] {
            assert_eq!(check_role(bad).unwrap_err().code(), "registry-name", "{bad}");
        }
        check_role("acme").unwrap();
    }
}
