//! What lies inside a directory that a container can write to.
//!
//! A container may put a symbolic link in place of anything below its own directory. A mount is
//! resolved on the host at each start, so one below such a directory could be turned to any path
//! of the service user. What the node itself writes there is written without following links.

use super::{Form, Rules};
use crate::check::shorten;
use crate::path::Path;

/// What an author placed in the app's data directory.
pub(super) struct Placed {
    /// Where it is written in the manifest.
    pub(super) at: Path,
    /// Path relative to the data directory.
    pub(super) data: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory, mounted into a container.
    Bind { writable: bool },
    /// A file, mounted into a container.
    Mounted,
    /// A file or certificate that the node writes.
    Written,
}

/// True when `inner` lies strictly below `outer`; the empty path is the data directory itself.
fn inside(inner: &str, outer: &str) -> bool {
    match inner.strip_prefix(outer) {
        Some(rest) if outer.is_empty() => !rest.is_empty(),
        Some(rest) => rest.starts_with('/'),
        None => false,
    }
}

impl Rules<'_, '_, '_> {
    /// Refuses mounts below a writable one. With several services also files and certificates;
    /// existing manifests of one container have them there.
    pub(super) fn nested(&mut self) {
        let placed = std::mem::take(&mut self.placed);
        let writable = |outer: &&Placed| outer.kind == Kind::Bind { writable: true };
        for inner in &placed {
            if inner.kind == Kind::Written && self.form == Form::Container {
                continue;
            }
            let outer = placed.iter().filter(writable).find(|o| inside(&inner.data, &o.data));
            let Some(outer) = outer else { continue };
            let holder = match outer.data.as_str() {
                "" => "the app's data directory".to_owned(),
                data => format!("`{}`", shorten(data)),
            };
            let message = format!(
                "`{}` lies inside {holder}, which a container can write to",
                shorten(&inner.data)
            );
            let mend = "give it a directory of its own, or mount the outer one `read_only`";
            self.error("nested-mount", &inner.at, message, mend);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictly_inside() {
        for (inner, outer, wanted) in [
            ("data/l", "data", true),
            ("data/a/b", "data", true),
            ("data", "", true),
            ("data", "data", false),
            ("", "", false),
            ("database", "data", false),
            ("data", "data/l", false),
        ] {
            assert_eq!(inside(inner, outer), wanted, "{inner} in {outer}");
        }
    }
}
