//! Which Debian mirror this machine uses: read from its apt sources, never written in the code.
use std::fs;
use std::path::{Path, PathBuf};

use super::error::NodeError;
use crate::sh;

/// Suites that mark an apt source as one of Debian's own archive.
const SUITES: &[&str] =
    &["stable", "testing", "unstable", "sid", "bullseye", "bookworm", "trixie", "forky", "duke"];

/// The mirror: `$ARCHY_DEBIAN_MIRROR`, or the first Debian archive among this machine's apt sources.
///
/// # Errors
/// When there is none.
pub(super) fn find() -> Result<String, NodeError> {
    if let Some(mirror) = sh::env("ARCHY_DEBIAN_MIRROR") {
        return Ok(mirror);
    }
    sources(Path::new("/etc/apt")).ok_or(NodeError::NoMirror)
}

/// The first Debian archive among the sources under an apt directory.
fn sources(apt: &Path) -> Option<String> {
    let mut files = vec![apt.join("sources.list")];
    let parts = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten();
    let mut more: Vec<PathBuf> = parts.flatten().map(|entry| entry.path()).collect();
    more.sort();
    files.extend(more);
    files.iter().find_map(|file| {
        let text = fs::read_to_string(file).ok()?;
        let uri = match file.extension()?.to_str()? {
            "list" => one_line(&text),
            "sources" => deb822(&text),
            _ => None,
        }?;
        resolve(&uri)
    })
}

/// `mirror+file:` names a file with one mirror a line, as on Debian's cloud images.
fn resolve(uri: &str) -> Option<String> {
    let Some(path) = uri.strip_prefix("mirror+file:") else { return Some(uri.to_owned()) };
    let list = fs::read_to_string(path).ok()?;
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()).next().map(str::to_owned)
}

/// `deb [options] URI SUITE COMPONENT...`
fn one_line(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb ")?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        let mut words = rest.split_whitespace();
        let (uri, suite) = (words.next()?, words.next()?);
        let main = words.any(|component| component == "main");
        (main && is_debian(uri, suite)).then(|| uri.to_owned())
    })
}

/// Stanzas of `Key: value` lines, values going on in indented lines.
fn deb822(text: &str) -> Option<String> {
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    text.split(|line| line.trim().is_empty()).find_map(|stanza| {
        let field = |key: &str| -> Vec<String> {
            let mut words = Vec::new();
            let mut inside = false;
            for line in stanza {
                if !line.starts_with([' ', '\t']) {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    inside = name.eq_ignore_ascii_case(key);
                    if inside {
                        words.extend(value.split_whitespace().map(str::to_owned));
                    }
                } else if inside {
                    words.extend(line.split_whitespace().map(str::to_owned));
                }
            }
            words
        };
        let off = field("Enabled").iter().any(|word| word.eq_ignore_ascii_case("no"));
        let deb = field("Types").iter().any(|word| word == "deb");
        let main = field("Components").iter().any(|word| word == "main");
        if off || !deb || !main {
            return None;
        }
        let suites = field("Suites");
        let debian = |uri: &String| suites.iter().any(|suite| is_debian(uri, suite));
        field("URIs").into_iter().find(debian)
    })
}

fn is_debian(uri: &str, suite: &str) -> bool {
    SUITES.contains(&suite) && !uri.contains("security") && !uri.starts_with("cdrom:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources() {
        let cases = [
            ("deb http://m.example/debian trixie main", Some("http://m.example/debian")),
            ("# deb http://m.example/debian trixie main", None),
            (
                "deb [arch=amd64 signed-by=/k.gpg] https://m.example/d bookworm main contrib",
                Some("https://m.example/d"),
            ),
            ("deb http://m.example/debian-security trixie-security main", None),
            ("deb https://other.example/apt other-bookworm main", None),
            ("deb-src http://m.example/debian trixie main", None),
            ("", None),
        ];
        for (text, want) in cases {
            assert_eq!(one_line(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn deb822_sources() {
        let text = "Types: deb\n# a comment\nURIs: http://m.example/sec\nSuites: trixie-security\n\
                    Components: main\n\nTypes: deb deb-src\nURIs:\n http://m.example/debian\n\
                    Suites: trixie trixie-updates\nComponents: main contrib\n";
        assert_eq!(deb822(text).as_deref(), Some("http://m.example/debian"));
        let off = text.replace("Types: deb deb-src", "Enabled: no\nTypes: deb");
        assert_eq!(deb822(&off), None);
    }

    #[test]
    fn a_directory_of_sources() {
        let dir = tempfile::tempdir().unwrap();
        let parts = dir.path().join("sources.list.d");
        fs::create_dir(&parts).unwrap();
        assert_eq!(sources(dir.path()), None);
        let list = dir.path().join("mirrors");
        fs::write(&list, "# ours\nhttps://m.example/debian priority:1\n").unwrap();
        let line = format!("URIs: mirror+file:{}\n", list.display());
        let text = format!("Types: deb\n{line}Suites: trixie\nComponents: main\n");
        fs::write(parts.join("debian.sources.off"), "deb http://off.example/debian trixie main")
            .unwrap();
        fs::write(parts.join("debian.sources"), text).unwrap();
        assert_eq!(sources(dir.path()).as_deref(), Some("https://m.example/debian"));
    }
}
