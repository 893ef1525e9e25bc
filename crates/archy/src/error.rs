//! How a command fails: a kind that decides the exit code, a stable code, a message, hints.

use archy_client::ClientError;
use archy_types::UserError;
use serde::Serialize;

/// Kind of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The work failed.
    Failed,
    /// The arguments make no sense together.
    Usage,
    /// The daemon refused, or the manifest is not valid.
    Refused,
    /// No such app, file, service, setting.
    NotFound,
    /// The daemon cannot be reached.
    Unreachable,
    /// It took too long.
    Timeout,
    /// No right to do it.
    Unauthorized,
    /// A command in a container ended with this code.
    Exit(u8),
    /// The reader of the output went away.
    BrokenPipe,
}

impl Kind {
    /// The exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::BrokenPipe => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::Unreachable => 5,
            Self::Timeout => 6,
            Self::Unauthorized => 7,
            Self::Exit(code) => code,
        }
    }
}

/// A failed command.
#[derive(Debug, Clone)]
pub(crate) struct CommandError {
    /// Kind.
    pub(crate) kind: Kind,
    /// Stable code; empty when there is nothing to say.
    pub(crate) code: String,
    /// One sentence.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
    /// Text to show before the message, for example findings about a manifest.
    pub(crate) details: Option<String>,
}

/// The form of an error in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorJson<'a> {
    error: ErrorBody<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    hints: &'a [String],
    exit_code: u8,
}

impl CommandError {
    /// A failure without hints.
    pub(crate) fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: message.into(),
            hints: Vec::new(),
            details: None,
        }
    }

    /// Ends with an exit code and says nothing more.
    pub(crate) fn silent(kind: Kind) -> Self {
        Self::new(kind, "", "")
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds text to show before the message.
    pub(crate) fn details(mut self, details: String) -> Self {
        self.details = Some(details);
        self
    }

    /// An operation's failure.
    pub(crate) fn failed(error: &UserError) -> Self {
        let mut failed = Self::new(Kind::Failed, error.code.as_str(), error.message.clone());
        failed.hints.extend(error.hint.clone());
        failed
    }

    /// No such app.
    pub(crate) fn app_not_found(app: &str) -> Self {
        Self::new(Kind::NotFound, "app-not-found", format!("No app {app} is installed."))
            .hint("`archy list` shows what is installed.")
    }

    /// For JSON output.
    pub(crate) fn json(&self) -> ErrorJson<'_> {
        ErrorJson {
            error: ErrorBody {
                code: &self.code,
                message: &self.message,
                hints: &self.hints,
                exit_code: self.kind.exit_code(),
            },
        }
    }
}

fn kind_of_refusal(code: &str) -> Kind {
    match code {
        "app-not-found" | "app-not-installed" | "manifest-not-found" | "service-not-found"
        | "service-unknown" | "setting-unknown" => Kind::NotFound,
        "deadline" => Kind::Timeout,
        "internal" | "engine-stopped" | "host-unreachable" | "busy" | "method-not-found"
        | "plan-stale" | "logs-unavailable" | "rate-limited" => Kind::Failed,
        _ => Kind::Refused,
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::Address(_) => Kind::Usage,
            ClientError::Unreachable { .. } => Kind::Unreachable,
            ClientError::Unauthorized(_) => Kind::Unauthorized,
            ClientError::Rejected(_) => kind_of_refusal(error.code()),
            ClientError::Protocol(_) => Kind::Failed,
            ClientError::Timeout { .. } => Kind::Timeout,
        };
        let message = match &error {
            ClientError::Unreachable { target, source } => {
                format!("The daemon at {target} cannot be reached: {source}.")
            }
            ClientError::Rejected(inner) | ClientError::Unauthorized(inner) => {
                inner.message.clone()
            }
            other => sentence(&other.to_string()),
        };
        let mut result = Self::new(kind, error.code(), message);
        result.hints.extend(error.hint().map(str::to_owned));
        let findings = error.findings();
        if !findings.is_empty() {
            let lines: Vec<String> = findings
                .iter()
                .map(|f| format!("{}:{}: {} [{}]", f.line, f.column, f.message, f.code))
                .collect();
            result.details = Some(lines.join("\n"));
        }
        result
    }
}

/// First letter large, full stop at the end.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    out.push_str(chars.as_str());
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}
