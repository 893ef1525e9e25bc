//! Requests with curl: the tests need no client of their own.

use std::time::Duration;

use xtask::sh::Cmd;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status; 0 when there was none.
    pub status: u16,
    /// Headers as they came.
    pub headers: String,
    /// Body.
    pub body: String,
}

/// A GET with a short deadline.
///
/// # Errors
/// curl cannot be run; no answer is status 0.
pub fn get(url: &str) -> anyhow::Result<Answer> {
    request(url, &[], None)
}

/// A request with curl's own options.
///
/// # Errors
/// curl cannot be run; no answer is status 0.
pub fn request(url: &str, options: &[&str], body: Option<&str>) -> anyhow::Result<Answer> {
    let mut cmd = Cmd::new("curl")
        .args(["-sk", "-m", "10", "-D", "-", "-w", "\n%{http_code}"])
        .args(options)
        .limit(Duration::from_secs(20));
    if let Some(body) = body {
        cmd = cmd.args(["--data-binary", "@-"]).input(body.as_bytes());
    }
    let out = cmd.arg(url).output()?.stdout.replace("\r\n", "\n");
    let (rest, status) = out.rsplit_once('\n').unwrap_or(("", "0"));
    let (headers, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
    Ok(Answer {
        status: status.trim().parse().unwrap_or(0),
        headers: headers.to_owned(),
        body: body.to_owned(),
    })
}
