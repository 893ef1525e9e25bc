//! The journal's last lines, through its own program: the journal has no other interface than a
//! library of its own, and this daemon may read what it and the user's units wrote.

use std::process::Stdio;
use std::time::Duration;

/// How long the program may take.
const DEADLINE: Duration = Duration::from_secs(15);

/// The last lines of the daemon and of the user manager with its units, by name.
pub(super) async fn read(lines: u32) -> Vec<(String, String)> {
    let daemon = ["_SYSTEMD_UNIT=archipelago.service"];
    let user = ["--user"];
    let (daemon, user) = tokio::join!(run(lines, &daemon), run(lines, &user));
    vec![("daemon".to_owned(), daemon), ("user".to_owned(), user)]
}

async fn run(lines: u32, arguments: &[&str]) -> String {
    #[expect(clippy::disallowed_methods, reason = "the journal's program is its interface")]
    let mut command = tokio::process::Command::new("journalctl");
    command
        .args(["--no-pager", "-o", "short-iso", "-n", &lines.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    match tokio::time::timeout(DEADLINE, command.output()).await {
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            if text.is_empty() { format!("journalctl: {errors}") } else { text }
        }
        Ok(Err(error)) => format!("journalctl: {error}\n"),
        Err(_) => "journalctl did not answer in time\n".to_owned(),
    }
}
