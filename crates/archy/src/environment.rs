//! What is read from the process's environment, once.

use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// The environment as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// Standard output is a terminal.
    pub(crate) stdout_tty: bool,
    /// Standard error is a terminal.
    pub(crate) stderr_tty: bool,
    /// Standard input is a terminal.
    pub(crate) stdin_tty: bool,
    /// Colours are wanted (`NO_COLOR` and `TERM=dumb` forbid them, no-color.org).
    pub(crate) colour: bool,
    /// `XDG_RUNTIME_DIR`.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// `XDG_DATA_HOME`, else `~/.local/share`.
    pub(crate) data_home: Option<PathBuf>,
    /// User id of this process.
    pub(crate) uid: Option<u32>,
}

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        let no_colour = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|value| value == "dumb");
        Self {
            stdout_tty: std::io::stdout().is_terminal(),
            stderr_tty: std::io::stderr().is_terminal(),
            stdin_tty: std::io::stdin().is_terminal(),
            colour: !no_colour && !dumb,
            runtime_dir: variable("XDG_RUNTIME_DIR").filter(|v| !v.is_empty()).map(PathBuf::from),
            data_home: variable("XDG_DATA_HOME")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/share"))),
            uid: std::fs::metadata("/proc/self").ok().map(|metadata| metadata.uid()),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command line is an edge; this is its one reader"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
