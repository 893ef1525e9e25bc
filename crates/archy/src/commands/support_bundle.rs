//! `archy support-bundle`: one file for somebody who helps, without secrets.
//!
//! The daemon gathers and strikes the secrets out. When it does not answer, the command line
//! gathers what it may see; logs are left out unless it could read the secrets to strike them.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use archy_api::doctor::{SupportFile, SupportParams};
use archy_api::method::SystemSupport;
use archy_client::ClientError;
use archy_types::{Redactor, Secret};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::doctor;
use super::status::moment;
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style, Table};

/// Directory in the archive.
const ROOT: &str = "archy-support";
/// Secrets of a node.
const SECRETS: &str = "/var/lib/archipelago/secrets";
const BLOCK: usize = 512;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file [default: archy-support-DATE.tar.gz]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// So many lines of each log
    #[arg(long, short = 'n', default_value_t = 500, value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=5_000))]
    lines: u32,
    /// Also without names and addresses of this machine and paths of homes
    #[arg(long)]
    anonymous: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    file: PathBuf,
    bytes: usize,
    contents: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    name: String,
    bytes: usize,
    about: String,
    cut: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let params = SupportParams { lines: Some(args.lines), anonymous: Some(args.anonymous) };
    let files = match context.client.call::<SystemSupport>(params).await {
        Ok(result) => result.files,
        Err(error @ ClientError::Unreachable { .. }) => {
            context.ui.warn("the daemon does not answer: the bundle holds what this user may see");
            alone(context, &error, args.lines).await
        }
        Err(error) => return Err(error.into()),
    };
    let contents: Vec<Line> = files.iter().map(line).collect();
    let bytes = archive(&files, &contents)?;
    let file = args.out.clone().unwrap_or_else(default_name);
    write(&file, &bytes)?;
    let written = Written { file, bytes: bytes.len(), contents };
    context.ui.result(&written, |paint| render(&written, paint))
}

fn line(file: &SupportFile) -> Line {
    let (name, about) = (file.name.clone(), file.about.clone());
    Line { name, bytes: file.text.len(), about, cut: file.cut }
}

fn default_name() -> PathBuf {
    let now = moment(jiff::Timestamp::now().as_millisecond());
    let now = now.replace([':', '-'], "").replace(' ', "-");
    PathBuf::from(format!("{ROOT}-{now}.tar.gz"))
}

/// What can be told without the daemon.
async fn alone(context: &Context, error: &ClientError, lines: u32) -> Vec<SupportFile> {
    let (redactor, complete) = redactor();
    let mut files = Vec::new();
    let mut add = |name: &str, about: &str, text: &str| {
        let (name, about, text) = (name.to_owned(), about.to_owned(), redactor.clean(text));
        files.push(SupportFile { name, about, text, cut: false });
    };
    let checks = doctor::examine(context).await.0;
    let checks = serde_json::to_string_pretty(&checks).unwrap_or_default();
    add("doctor.json", "checks made without the daemon", &checks);
    let versions = format!("archy {}\nthe daemon: {error}\n", env!("CARGO_PKG_VERSION"));
    add("versions.txt", "versions", &versions);
    if complete {
        add("journal/daemon.log", "the daemon's last lines", &journal(lines));
    } else {
        let text = "The secrets cannot be read by this user, so no log is in this bundle: run it as root.\n";
        add("journal/left-out.txt", "why there are no logs", text);
    }
    files
}

/// Knows the node's secrets; false when they cannot be read.
fn redactor() -> (Redactor, bool) {
    let Ok(entries) = std::fs::read_dir(SECRETS) else {
        return (Redactor::default(), false);
    };
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let read: Result<Vec<Secret>, _> =
        paths.map(|path| std::fs::read(path).map(Secret::new)).collect();
    match read {
        Ok(secrets) => (Redactor::new(&secrets), true),
        Err(_) => (Redactor::default(), false),
    }
}

fn journal(lines: u32) -> String {
    #[expect(clippy::disallowed_methods, reason = "the journal's program is its interface")]
    let output = Command::new("journalctl")
        .args(["-u", "archipelago", "--no-pager", "-o", "short-iso", "-n", &lines.to_string()])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => format!("journalctl: {error}\n"),
    }
}

/// A compressed archive with a list of what is in it at its beginning.
fn archive(files: &[SupportFile], contents: &[Line]) -> Result<Vec<u8>, CommandError> {
    let mut tar = Vec::new();
    entry(&mut tar, "CONTENTS.txt", listing(contents).as_bytes());
    for file in files {
        entry(&mut tar, &file.name, file.text.as_bytes());
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(&tar).and_then(|()| gz.finish()).map_err(|error| {
        CommandError::new(Kind::Failed, "archive", format!("Cannot compress: {error}."))
    })
}

fn listing(contents: &[Line]) -> String {
    let mut out = String::from(
        "What is in this bundle. Values of secrets, tokens, cookies, passwords and private keys\n\
         are struck out (•••) before anything is written.\n\n",
    );
    for line in contents {
        let cut = if line.cut { ", its beginning is cut" } else { "" };
        out.push_str(&format!("{:>9}  {}  ({}{cut})\n", line.bytes, line.name, line.about));
    }
    out
}

/// Adds a file to a tar archive (POSIX ustar).
fn entry(tar: &mut Vec<u8>, name: &str, data: &[u8]) {
    // names of units and containers are short; what is longer keeps its end
    let plain: String = name.chars().filter(char::is_ascii).collect();
    let from = plain.len().saturating_sub(80);
    let name = format!("{ROOT}/{}", plain[from..].trim_start_matches('/'));
    let mut head = [0_u8; BLOCK];
    let mut put = |at: usize, text: &str| {
        head[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, &name);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", data.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&head);
    tar.extend_from_slice(data);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Writes a new file that only its owner may read.
fn write(path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        let text = format!("{} cannot be written: {error}.", path.display());
        CommandError::new(Kind::Failed, "output", text).hint("Choose another place with --out.")
    };
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

fn render(written: &Written, paint: &Paint) -> String {
    let mut table = Table::new(&["BYTES", "FILE", "WHAT"]);
    for line in &written.contents {
        let about = if line.cut { format!("{}, cut", line.about) } else { line.about.clone() };
        table.row(vec![
            (line.bytes.to_string(), None),
            (line.name.clone(), None),
            (about, Some(Style::Faint)),
        ]);
    }
    let file = paint.paint(Style::Strong, &written.file.display().to_string());
    format!(
        "{}\n{file} ({} KiB, readable by you alone). Secrets are struck out; look into it before you \
         pass it on.\n",
        table.render(paint),
        written.bytes.div_ceil(1024)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_tar_reads() {
        let mut tar = Vec::new();
        entry(&mut tar, "units/a.container", b"text");
        entry(&mut tar, &format!("{}é.log", "x".repeat(300)), &[7; 600]);
        assert_eq!(tar.len(), BLOCK * 2 + BLOCK * 3);
        assert_eq!(&tar[..33], b"archy-support/units/a.container\0\0");
        let sum: u32 = tar[..BLOCK]
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        assert_eq!(&tar[148..154], format!("{sum:06o}").as_bytes());
        assert_eq!(&tar[124..135], format!("{:011o}", 4).as_bytes());
    }
}
