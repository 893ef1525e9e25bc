//! The JSON-RPC 2.0 envelope, lenient as existing clients need it.

use archy_types::{Code, UserError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use ts_rs::TS;

/// The text is not JSON (JSON-RPC 2.0 §5.1).
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not a request.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters do not fit the method.
pub const INVALID_PARAMS: i64 = -32602;
/// The daemon failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// The method was understood and refused, or it failed; `data.code` says which.
pub const REFUSED: i64 = -32000;
/// No valid session; also the HTTP status.
pub const UNAUTHORIZED: i64 = 401;
/// Origin, role or CSRF token; also the HTTP status.
pub const FORBIDDEN: i64 = 403;
/// Rate limit; also the HTTP status.
pub const TOO_MANY: i64 = 429;

/// A call. `jsonrpc`, `params` and `id` may be missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// `2.0`, or missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsonrpc: Option<String>,
    /// Name of the method.
    pub method: String,
    /// Parameters by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Returned as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
}

/// An answer. Both members are always there; the unused one is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// `2.0`.
    #[serde(default = "version")]
    pub jsonrpc: String,
    /// Result when there is no error.
    #[serde(default)]
    pub result: Value,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<ErrorObject>,
    /// The call's id, or null.
    #[serde(default)]
    pub id: Value,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS, thiserror::Error)]
#[error("{message}")]
pub struct ErrorObject {
    /// Number: the HTTP status 401, 403 or 429, or one of JSON-RPC's.
    pub code: i64,
    /// One sentence for people.
    pub message: String,
    /// Stable code and hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub data: Option<Box<ErrorData>>,
}

/// The part of an error that programs read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ErrorData {
    /// Stable code, for example `app-not-found`.
    pub code: Code,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub hint: Option<String>,
    /// Findings about a manifest, when the code is `manifest-invalid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[ts(optional, as = "Option<Vec<ManifestFinding>>")]
    pub findings: Vec<ManifestFinding>,
    /// Quote it when reporting a failure of the daemon; the journal holds the chain under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub log_id: Option<String>,
    /// Seconds to wait, when the code is `rate-limited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub retry_after: Option<u32>,
}

/// One finding about a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ManifestFinding {
    /// Stable code.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// Place in the document, for example `app.ports[0].host`.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line of the document.
    pub snippet: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

/// No parameters: nothing, null, an empty list or any object.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NoParams {}

fn version() -> String {
    "2.0".to_owned()
}

// === impl Request ===

impl Request {
    /// A call by name with a numbered id.
    #[must_use]
    pub fn new(method: &str, params: Value, id: u64) -> Self {
        Self {
            jsonrpc: Some(version()),
            method: method.to_owned(),
            params: (!params.is_null()).then_some(params),
            id: Some(id.into()),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`PARSE_ERROR`] when it is not JSON, [`INVALID_REQUEST`] when it is not a call.
    pub fn parse(body: &[u8]) -> Result<Self, ErrorObject> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            ErrorObject::new(PARSE_ERROR, "parse-error", format!("Invalid JSON: {error}."))
        })?;
        serde_json::from_value(value).map_err(|error| {
            ErrorObject::new(INVALID_REQUEST, "invalid-request", format!("Invalid call: {error}."))
                .hint("Send an object with `method`, and `params` as an object.")
        })
    }

    /// Reads the parameters; missing, null and `[]` count as `{}`.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`] with the field and the reason.
    pub fn params<P: DeserializeOwned>(&self) -> Result<P, ErrorObject> {
        let value = match &self.params {
            None | Some(Value::Null) => Value::Object(serde_json::Map::new()),
            Some(Value::Array(list)) if list.is_empty() => Value::Object(serde_json::Map::new()),
            Some(value) => value.clone(),
        };
        serde_json::from_value(value).map_err(|error| {
            ErrorObject::new(
                INVALID_PARAMS,
                "invalid-params",
                format!("Invalid parameters of {}: {error}.", self.method),
            )
            .hint("The API reference lists every method's parameters.")
        })
    }
}

// === impl Response ===

impl Response {
    /// An answer with a result.
    #[must_use]
    pub fn ok(id: Option<Value>, result: Value) -> Self {
        Self { jsonrpc: version(), result, error: None, id: id.unwrap_or(Value::Null) }
    }

    /// An answer with an error.
    #[must_use]
    pub fn failed(id: Option<Value>, error: ErrorObject) -> Self {
        Self {
            jsonrpc: version(),
            result: Value::Null,
            error: Some(error),
            id: id.unwrap_or(Value::Null),
        }
    }

    /// HTTP status of the answer: handler failures travel with 200.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self.error.as_ref().map(|error| error.code) {
            Some(UNAUTHORIZED) => 401,
            Some(FORBIDDEN) => 403,
            Some(TOO_MANY) => 429,
            _ => 200,
        }
    }
}

// === impl ErrorObject ===

impl ErrorObject {
    /// An error with a stable code.
    #[must_use]
    pub fn new(number: i64, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: number,
            message: message.into(),
            data: Some(Box::new(ErrorData::new(Code::new(code)))),
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(data) = &mut self.data {
            data.hint = Some(hint.into());
        }
        self
    }

    /// Adds findings about a manifest.
    #[must_use]
    pub fn findings(mut self, findings: Vec<ManifestFinding>) -> Self {
        if let Some(data) = &mut self.data {
            data.findings = findings;
        }
        self
    }

    /// The stable code, or `unknown` when the sender gave none.
    #[must_use]
    pub fn stable_code(&self) -> &str {
        self.data.as_ref().map_or("unknown", |data| data.code.as_str())
    }
}

impl ErrorData {
    /// Only a code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self { code, hint: None, findings: Vec::new(), log_id: None, retry_after: None }
    }
}

impl From<UserError> for ErrorObject {
    fn from(error: UserError) -> Self {
        let mut data = ErrorData::new(error.code);
        data.hint = error.hint;
        Self { code: REFUSED, message: error.message, data: Some(Box::new(data)) }
    }
}

#[cfg(test)]
mod tests;
