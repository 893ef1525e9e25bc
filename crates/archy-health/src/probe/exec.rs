//! A check that is a program of the image.

use std::io::{self, Read as _};
use std::process::{self, Child, ChildStderr, Stdio};
use std::time::Instant;

use super::UNKNOWN;

/// Exit statuses of shells for a program that cannot be run, or is not there (POSIX, "Exit Status for
/// Commands").
const NOT_RUN: [i32; 2] = [126, 127];
/// What of the program's last words is kept.
const MAX_WORDS: usize = 4096;

/// Runs a program to its end. An image that does not have the program tells nothing about the app:
/// that is neither well nor unwell, and said so.
#[expect(clippy::disallowed_methods, reason = "a check that is a program of the image")]
pub(super) fn run(words: &[String], end: Instant) -> Result<String, String> {
    let [program, arguments @ ..] = words else { return Err("no program".to_owned()) };
    let mut command = process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if cannot_be_run(&error) => {
            return Ok(format!("{UNKNOWN}{program} cannot be run in this image: {error}"));
        }
        Err(error) => return Err(format!("{program}: {error}")),
    };
    let mut said = Words::of(&mut child);
    let ended = super::wait(end, || {
        said.hear();
        match child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(format!("{program}: no time left")),
            Err(error) => Err(format!("{program}: {error}")),
        }
    });
    if ended.is_err() {
        // it may have ended by itself meanwhile
        drop(child.kill());
        drop(child.wait());
    }
    let status = ended?;
    said.hear();
    let last = said.last();
    if status.success() {
        return Ok(format!("{program}: well"));
    }
    let missing = status.code().is_some_and(|code| NOT_RUN.contains(&code));
    match last {
        Some(line) if missing || names_no_program(program, &line) => {
            Ok(format!("{UNKNOWN}the check cannot be run in this image: {line}"))
        }
        None if missing => Ok(format!("{UNKNOWN}the check cannot be run in this image: {status}")),
        Some(line) => Err(format!("{program}: {status}: {line}")),
        None => Err(format!("{program}: {status}")),
    }
}

/// The image lacks it, or has it for another machine.
fn cannot_be_run(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error())
}

/// What a shell says of a program that it does not find (`sh: 1: curl: not found`), although the
/// script goes on (`curl … || exit 1`).
fn names_no_program(shell: &str, line: &str) -> bool {
    let names = [shell, shell.rsplit('/').next().unwrap_or(shell)];
    let said =
        names.iter().any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')));
    said && line.ends_with("not found")
}

/// What a program says on its standard error.
struct Words {
    from: Option<ChildStderr>,
    heard: Vec<u8>,
}

impl Words {
    fn of(child: &mut Child) -> Self {
        let from = child.stderr.take();
        // something that the program left behind may hold it open: it is never waited for
        let from = from.filter(|from| rustix::io::ioctl_fionbio(from, true).is_ok());
        Self { from, heard: Vec::new() }
    }

    /// Takes what is there now.
    fn hear(&mut self) {
        let Some(from) = &mut self.from else { return };
        let mut buffer = [0; MAX_WORDS];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            self.heard.extend_from_slice(&buffer[..n]);
            let over = self.heard.len().saturating_sub(MAX_WORDS);
            self.heard.drain(..over);
        }
    }

    fn last(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.heard);
        let mut lines = text.lines().rev().map(str::trim);
        lines.find(|line| !line.is_empty()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ran(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        run(&words, Instant::now() + Duration::from_secs(20))
    }

    #[test]
    fn what_cannot_be_run_is_neither_well_nor_unwell() {
        for words in [
            &["no-such-program-here"][..],
            &["/etc/passwd"],
            &["sh", "-c", "no-such-program-here"],
            &["sh", "-c", "no-such-program-here || exit 1"],
            &["/bin/sh", "-c", "no-such-program-here || exit 1"],
        ] {
            let said = ran(words);
            assert!(
                said.as_ref().is_ok_and(|said| said.starts_with(UNKNOWN)),
                "{words:?}: {said:?}"
            );
        }
    }

    #[test]
    fn what_a_program_says_of_the_app_counts() {
        for (script, says) in [
            ("exit 3", "exit status: 3"),
            ("echo late; echo the table was not found >&2; exit 1", "the table was not found"),
            (
                "i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo 0123456789 >&2; done; exit 2",
                "0123456789",
            ),
        ] {
            let said = ran(&["sh", "-c", script]);
            assert!(said.as_ref().is_err_and(|why| why.contains(says)), "{script}: {said:?}");
        }
        assert!(ran(&["sh", "-c", "echo a word >&2"]).is_ok_and(|said| !said.starts_with(UNKNOWN)));
    }
}
