//! The health probe that runs inside containers, and on the host before a container starts.
//!
//! It needs nothing of the image it runs in: no shell, no C library, no resolver. One line on
//! standard output says what it found; Podman keeps it in the container's health log.
//!
//! Exit codes: 0 well, 1 not well, 2 used wrongly.

mod args;
mod probe;

use std::process::ExitCode;

#[expect(clippy::print_stdout, reason = "Podman keeps what a check prints in its health log")]
fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).map(|a| a.to_string_lossy().into_owned());
    let (line, code) = match args::parse(arguments) {
        Ok(command) => match probe::run(&command) {
            Ok(found) => (found, 0),
            Err(why) => (why, 1),
        },
        Err(why) => (format!("{why}\n{}", args::USAGE), 2),
    };
    println!("{line}");
    ExitCode::from(code)
}
