//! Podman's own generator in a dry run: what it would make of a directory of files.
//!
//! At boot the generator drops a bad file and says so in the journal only. Here every file is
//! accounted for: it became a unit (the unit names its source), or there is an error. Mind that
//! one file that cannot be parsed at all makes the generator (5.4) drop all the others with it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

use crate::{FilesError, UnitDir};

/// Where distributions install the generator.
pub const GENERATORS: [&str; 3] = [
    "/usr/libexec/podman/quadlet",
    "/usr/lib/systemd/user-generators/podman-user-generator",
    "/usr/lib/podman/quadlet",
];

/// Longest output that is read.
const MAX_OUTPUT: u64 = 16 << 20;

/// Extensions of the files that the generator reads.
const EXTENSIONS: [&str; 7] = ["container", "volume", "network", "build", "pod", "kube", "image"];

/// What became of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileReport {
    /// Name and text of the unit; `None` when the generator dropped the file.
    pub unit: Option<(String, String)>,
    /// Why it was dropped. Never empty when there is no unit.
    pub errors: Vec<String>,
    /// What the generator took but did not like.
    pub warnings: Vec<String>,
}

/// What became of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Each file that the generator reads, by name.
    pub files: BTreeMap<String, FileReport>,
    /// Messages about no file in particular.
    pub general: Vec<String>,
}

/// Why the generator could not be asked.
#[derive(Debug, Error)]
pub enum GeneratorError {
    /// No generator is installed.
    #[error("Podman's unit generator is not installed")]
    Missing,
    /// It cannot be started or read from.
    #[error("Podman's unit generator {} cannot be run", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The deadline passed; it was killed.
    #[error("Podman's unit generator took longer than {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It printed more than the limit.
    #[error("Podman's unit generator printed more than {MAX_OUTPUT} bytes")]
    TooLarge,
    /// It was ended by a signal or crashed.
    #[error("Podman's unit generator ended with {status}: {stderr}")]
    Crashed {
        /// How.
        status: ExitStatus,
        /// The end of its error output.
        stderr: String,
    },
    /// The files could not be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
}

// === impl GeneratorError ===

impl GeneratorError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing => "generator-missing",
            Self::Run { .. } => "generator-not-run",
            Self::Timeout(_) => "generator-timeout",
            Self::TooLarge => "generator-output-too-large",
            Self::Crashed { .. } => "generator-crashed",
            Self::Files(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing | Self::Run { .. } => "Install Podman 5.4 or newer from the system.",
            Self::Timeout(_) => "The host is overloaded; try again.",
            Self::TooLarge | Self::Crashed { .. } => "Run `podman version`; see the journal.",
            Self::Files(error) => error.hint(),
        }
    }
}

// === impl Report ===

impl Report {
    /// True when every file became a unit.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.files.values().all(|f| f.unit.is_some() && f.errors.is_empty())
    }

    /// All errors with the file they are about.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().flat_map(|(n, f)| f.errors.iter().map(|e| (n.as_str(), e.as_str())))
    }

    /// All warnings with the file they are about.
    pub fn warnings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().flat_map(|(n, f)| f.warnings.iter().map(|w| (n.as_str(), w.as_str())))
    }
}

/// The installed generator.
///
/// # Errors
/// [`GeneratorError::Missing`] when there is none at the usual places.
pub fn find_generator() -> Result<PathBuf, GeneratorError> {
    let found = GENERATORS.iter().map(PathBuf::from).find(|p| p.is_file());
    found.ok_or(GeneratorError::Missing)
}

/// Asks the generator about a directory. Nothing is written.
///
/// # Errors
/// The generator could not be asked; what it says of the files is in the report.
pub async fn check_directory(
    dir: &Path,
    generator: &Path,
    deadline: Duration,
) -> Result<Report, GeneratorError> {
    let names = UnitDir::new(dir).read().await?.into_keys().filter(|n| is_quadlet(n)).collect();
    let work = run(dir, generator);
    let (status, stdout, stderr) = match tokio::time::timeout(deadline, work).await {
        Ok(done) => done?,
        Err(_) => return Err(GeneratorError::Timeout(deadline)),
    };
    // 1 is its word for "some file is bad"
    if !matches!(status.code(), Some(0 | 1)) {
        let stderr = stderr.lines().next_back().unwrap_or_default().to_owned();
        return Err(GeneratorError::Crashed { status, stderr });
    }
    Ok(parse(names, &stdout, &stderr))
}

/// Asks the generator about files that are not in place yet: they are written to a directory of
/// their own below `scratch`, which is removed afterwards. Give all files that refer to each
/// other.
///
/// # Errors
/// Those of [`check_directory`], and those of writing.
pub async fn check_files(
    files: Vec<(String, String)>,
    scratch: &Path,
    generator: &Path,
    deadline: Duration,
) -> Result<Report, GeneratorError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = Scratch(scratch.join(format!("quadlet-check-{}-{number}", std::process::id())));
    UnitDir::new(&dir.0).write(files).await?;
    check_directory(&dir.0, generator, deadline).await
}

/// A directory that is removed when dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "a scratch directory stays");
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the generator is a program that systemd runs; it has no other interface"
)]
async fn run(dir: &Path, generator: &Path) -> Result<(ExitStatus, String, String), GeneratorError> {
    let failed = |source| GeneratorError::Run { program: generator.to_path_buf(), source };
    let mut child = Command::new(generator)
        .args(["-dryrun", "-user"])
        .env_clear()
        .env("QUADLET_UNIT_DIRS", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = tokio::try_join!(read(out), read(err)).map_err(failed)?;
    if out.len() as u64 > MAX_OUTPUT || err.len() as u64 > MAX_OUTPUT {
        return Err(GeneratorError::TooLarge);
    }
    let status = child.wait().await.map_err(failed)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((status, text(out), text(err)))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn is_quadlet(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ext)| EXTENSIONS.contains(&ext))
}

/// Brings the generator's output together with the files. Pure.
fn parse(names: Vec<String>, stdout: &str, stderr: &str) -> Report {
    let files = names.into_iter().map(|n| (n, FileReport::default())).collect();
    let mut report = Report { files, general: Vec::new() };
    for (unit, text) in blocks(stdout) {
        let source = text.lines().find_map(|l| l.strip_prefix("SourcePath="));
        let name = source.and_then(|s| s.rsplit('/').next()).unwrap_or_default();
        if let Some(file) = report.files.get_mut(name) {
            file.unit = Some((unit.to_owned(), text));
        }
    }
    for line in stderr.lines() {
        note(&mut report, line);
    }
    for (name, file) in &mut report.files {
        if file.unit.is_none() && file.errors.is_empty() {
            let why = report.general.first().map_or("it does not say why", String::as_str);
            file.errors.push(format!("the generator made no unit of {name}: {why}"));
        }
    }
    report
}

/// The units of a dry run: `---name---` and the text below it.
fn blocks(stdout: &str) -> Vec<(&str, String)> {
    let mut all: Vec<(&str, String)> = Vec::new();
    for line in stdout.lines() {
        let header = line.strip_prefix("---").and_then(|l| l.strip_suffix("---"));
        match (header, all.last_mut()) {
            (Some(unit), _) => all.push((unit, String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    all
}

fn note(report: &mut Report, line: &str) {
    // "quadlet-generator[12]: message"; the second and later of joined errors have no prefix
    let message = match line.split_once("]: ") {
        Some((head, rest)) if head.starts_with("quadlet-generator[") => rest,
        _ => line,
    }
    .trim();
    if message.is_empty() || message.starts_with("Loading source unit file") {
        return;
    }
    let warning = message.strip_prefix("Warning: ");
    match report.files.iter_mut().find(|(name, _)| is_about(message, name)) {
        Some((_, file)) => match warning {
            Some(text) => file.warnings.push(text.to_owned()),
            None => file.errors.push(message.to_owned()),
        },
        None => report.general.push(message.to_owned()),
    }
}

/// Whether a message names a file as its subject: quoted, at the end of a quoted path, or first
/// in a warning.
fn is_about(message: &str, name: &str) -> bool {
    if let Some(rest) = message.strip_prefix("Warning: ") {
        return rest.strip_prefix(name).is_some_and(|r| r.starts_with([' ', ':']));
    }
    let subject = message.split('"').nth(1).unwrap_or_default();
    subject == name || subject.rsplit('/').next() == Some(name)
}

#[cfg(test)]
mod tests;
