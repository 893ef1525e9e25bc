//! Progress of one operation: a moving bar, lines, or nothing.

use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far an operation is.
#[derive(Debug)]
pub(crate) struct Progress {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Bar(ProgressBar),
    Lines { last: String },
    Hidden,
}

impl Progress {
    /// A moving bar on standard error.
    pub(crate) fn bar() -> Self {
        let bar = ProgressBar::new(100);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_style(spinner());
        Self { form: Form::Bar(bar) }
    }

    /// One line for each step.
    pub(crate) const fn lines() -> Self {
        Self { form: Form::Lines { last: String::new() } }
    }

    /// Nothing.
    pub(crate) const fn hidden() -> Self {
        Self { form: Form::Hidden }
    }

    /// Shows a step: its number, how many there are, its words, and its own progress.
    pub(crate) fn step(
        &mut self,
        app: &str,
        step: u32,
        steps: u32,
        text: &str,
        percent: Option<u8>,
    ) {
        let words = if steps > 0 {
            format!("{app} [{step}/{steps}] {text}")
        } else {
            format!("{app} {text}")
        };
        match &mut self.form {
            Form::Hidden => {}
            Form::Lines { last } => {
                if *last != words {
                    let _ = writeln!(io::stderr().lock(), "{words}");
                    *last = words;
                }
            }
            Form::Bar(bar) => {
                match percent {
                    Some(percent) => {
                        bar.set_style(with_bar());
                        bar.set_position(u64::from(percent));
                    }
                    None => bar.set_style(spinner()),
                }
                bar.set_message(words);
            }
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn with_bar() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} [{bar:24}] {pos}% {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
