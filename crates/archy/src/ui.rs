//! All output: text, JSON or quiet. Results go to standard output, everything else to standard
//! error. Colours and moving progress appear on terminals only.

mod paint;
mod progress;
mod table;

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::Global;
use crate::environment::Environment;
use crate::error::{CommandError, Kind};

pub(crate) use paint::{Paint, Style};
pub(crate) use progress::Progress;
pub(crate) use table::Table;

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Text,
    Json,
}

/// The printer.
#[derive(Debug)]
pub(crate) struct Ui {
    mode: Mode,
    quiet: bool,
    out: Paint,
    err: Paint,
    moving: bool,
    interactive: bool,
}

impl Ui {
    /// From the global options.
    pub(crate) fn new(global: &Global, environment: &Environment) -> Self {
        Self {
            mode: if global.json { Mode::Json } else { Mode::Text },
            quiet: global.quiet,
            out: Paint::new(environment.colour && environment.stdout_tty && !global.json),
            err: Paint::new(environment.colour && environment.stderr_tty),
            moving: environment.stderr_tty && !global.json && !global.quiet,
            interactive: environment.stdin_tty && environment.stderr_tty && !global.json,
        }
    }

    /// JSON is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.mode == Mode::Json
    }

    /// Prints a result: the value as JSON, or its text.
    pub(crate) fn result<T: Serialize + ?Sized>(
        &self,
        value: &T,
        text: impl FnOnce(&Paint) -> String,
    ) -> Result<(), CommandError> {
        match self.mode {
            Mode::Json => {
                let json = serde_json::to_string_pretty(value).map_err(|error| {
                    CommandError::new(Kind::Failed, "json", format!("Cannot write JSON: {error}."))
                })?;
                self.print(&json)
            }
            Mode::Text => self.print(text(&self.out).trim_end_matches('\n')),
        }
    }

    /// Prints one item of a stream: a line of JSON, or its text.
    pub(crate) fn item<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&Paint) -> String,
    ) -> Result<(), CommandError> {
        match self.mode {
            Mode::Json => self.print(&serde_json::to_string(value).unwrap_or_default()),
            Mode::Text => self.print(&text(&self.out)),
        }
    }

    /// Prints a text as it is, in every mode.
    pub(crate) fn raw(&self, text: &str) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        check(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    fn print(&self, text: &str) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        check(writeln!(out, "{text}").and_then(|()| out.flush()))
    }

    /// The paint of the error output.
    pub(crate) const fn paint(&self) -> &Paint {
        &self.err
    }

    /// Says something beside the result, unless quiet or in JSON.
    pub(crate) fn tell(&self, text: &str) {
        if !self.quiet && self.mode == Mode::Text {
            complain(text.trim_end_matches('\n'));
        }
    }

    /// Warns, unless quiet.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            complain(&format!("{}: {text}", self.err.paint(Style::Warn, "warning")));
        }
    }

    /// Prints a failure.
    pub(crate) fn error(&self, error: &CommandError) {
        if error.code.is_empty() {
            return;
        }
        if self.mode == Mode::Json {
            complain(&serde_json::to_string_pretty(&error.json()).unwrap_or_default());
            return;
        }
        if let Some(details) = &error.details {
            complain(details);
        }
        let word = self.err.paint(Style::Bad, "error");
        complain(&format!("{word}[{}]: {}", error.code, error.message));
        for hint in &error.hints {
            complain(&format!("{}: {hint}", self.err.paint(Style::Accent, "hint")));
        }
    }

    /// Asks for a yes; `stakes` says what is at stake and is shown even when quiet.
    ///
    /// # Errors
    /// There is no terminal to ask on; `flag` is the option that answers.
    pub(crate) fn confirm(
        &self,
        stakes: &str,
        question: &str,
        flag: &str,
    ) -> Result<bool, CommandError> {
        if self.mode == Mode::Text {
            complain(stakes);
        }
        if !self.interactive {
            return Err(CommandError::new(
                Kind::Usage,
                "confirmation-needed",
                "This needs a confirmation, and there is no terminal to ask on.",
            )
            .hint(format!("Add {flag} to confirm.")));
        }
        let mut err = io::stderr().lock();
        check(write!(err, "{question} [y/N] ").and_then(|()| err.flush()))?;
        let mut answer = String::new();
        check(io::stdin().read_line(&mut answer).map(drop))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    /// Progress of one operation.
    pub(crate) fn progress(&self) -> Progress {
        if self.moving {
            Progress::bar()
        } else if self.quiet || self.mode == Mode::Json {
            Progress::hidden()
        } else {
            Progress::lines()
        }
    }
}

/// Writes to standard error; nobody is left to tell when that fails.
fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn check(result: io::Result<()>) -> Result<(), CommandError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CommandError::silent(Kind::BrokenPipe),
        _ => {
            CommandError::new(Kind::Failed, "output", format!("Cannot write the output: {error}."))
        }
    })
}
