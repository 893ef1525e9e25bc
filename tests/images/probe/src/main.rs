//! A test app that can be told to misbehave: HTTP on port 8080, knobs through the environment and over HTTP.
//!
//! Environment:
//! - `PORT` (8080): where it listens; `PROBE_DATA` (`/data`): its data directory.
//! - `PROBE_VERSION`: what `/version` says. `PROBE_SICK=1`: `/health` is 503 from the start.
//! - `PROBE_START_MS`: wait so long before listening. `PROBE_READY_SECS`: `/json` says `ready` after so long.
//! - `PROBE_STOP_MS`: take so long to end after SIGTERM. `PROBE_IGNORE_TERM=1`: do not end on SIGTERM at all.
//! - `PROBE_CRASH_SECS`, `PROBE_CRASH_CODE` (3): end with that code after so long.
//! - `PROBE_FAIL_STARTS=N`: the first N starts (counted in the data directory) end at once with code 4.
//!
//! `probe check` asks `/health` and ends with 0 or 1; `probe once [CODE]` prints a line and ends (for one-shot services).
mod data;
mod http;
mod knobs;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use knobs::Knobs;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let code = match words.first().map(String::as_str) {
        Some("check") => http::check(),
        Some("once") => once(words.get(1)),
        _ => serve(),
    };
    std::process::exit(code);
}

/// A one-shot task: leaves a mark in the data directory.
fn once(code: Option<&String>) -> i32 {
    println!("probe: one task done");
    if let Err(error) = data::mark("once") {
        eprintln!("probe: no mark left: {error}");
    }
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn serve() -> i32 {
    let knobs = Arc::new(Knobs::from_env());
    let starts = data::count_start();
    println!("probe: version {} start {starts}", knobs.version);
    // without a data directory nothing is counted, and no start is told to fail
    if (1..=knobs::number("PROBE_FAIL_STARTS")).contains(&starts) {
        eprintln!("probe: this start was told to fail");
        return 4;
    }
    if let Err(error) = on_signals() {
        eprintln!("probe: no signals: {error}");
        return 1;
    }
    let crash = knobs::number("PROBE_CRASH_SECS");
    if crash > 0 {
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(crash));
            eprintln!("probe: crash as told");
            std::process::exit(knobs::code("PROBE_CRASH_CODE", 3));
        });
    }
    thread::sleep(Duration::from_millis(knobs::number("PROBE_START_MS")));
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080u16);
    // both families where there is IPv6
    let listener =
        TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("probe: cannot listen on {port}: {error}");
            return 1;
        }
    };
    println!("probe: listening on {port}");
    for stream in listener.incoming().flatten() {
        let knobs = Arc::clone(&knobs);
        thread::spawn(move || http::answer(stream, &knobs));
    }
    0
}

/// As PID 1 a process that does not ask for SIGTERM never gets it.
fn on_signals() -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            println!("probe: signal {signal}");
            if std::env::var("PROBE_IGNORE_TERM").is_ok_and(|value| value == "1") {
                continue;
            }
            thread::sleep(Duration::from_millis(knobs::number("PROBE_STOP_MS")));
            std::process::exit(0);
        }
    });
    Ok(())
}
