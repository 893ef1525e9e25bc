//! Runs the binary and compares golden files.

use std::path::Path;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `archy` with these arguments in a directory, without a terminal.
#[expect(clippy::disallowed_methods, reason = "the binary is what is tested")]
pub(crate) fn archy(dir: &Path, args: &[&str]) -> Run {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_archy"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("TZ", "UTC")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Run {
    /// Fails unless the exit code is this.
    pub(crate) fn code(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "exit {} instead of {code}\n{}\n{}",
            self.code,
            self.out,
            self.err
        );
        self
    }

    /// Fails unless standard output has the text.
    pub(crate) fn out(self, text: &str) -> Self {
        assert!(self.out.contains(text), "no {text:?} in\n{}", self.out);
        self
    }

    /// Fails unless standard error has the text.
    pub(crate) fn err(self, text: &str) -> Self {
        assert!(self.err.contains(text), "no {text:?} in\n{}", self.err);
        self
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in\n{}", self.out))
    }
}

/// Compares a text with a golden file; `ARCHY_UPDATE=1` rewrites it.
#[expect(clippy::disallowed_methods, reason = "the switch that rewrites golden files")]
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var("ARCHY_UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{name} differs; ARCHY_UPDATE=1 rewrites it. Now:\n{text}");
}
