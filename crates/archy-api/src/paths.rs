//! Paths of the HTTP server, the same over HTTPS and over the unix socket.

/// JSON-RPC, `POST`.
pub const RPC: &str = "/rpc/v1";
/// Log lines as newline-delimited JSON, `GET`; see [`crate::logs`].
pub const LOGS: &str = "/rpc/v1/logs";
/// State subscription over WebSocket; see [`crate::subscribe`].
pub const STATE: &str = "/ws/state";
/// Name of the cookie with the session's token.
pub const SESSION_COOKIE: &str = "session";
/// Name of the cookie whose value is repeated in [`CSRF_HEADER`].
pub const CSRF_COOKIE: &str = "csrf_token";
/// Name of the cookie that restores a session.
pub const REMEMBER_COOKIE: &str = "remember";
/// Header that repeats the value of [`CSRF_COOKIE`].
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The daemon's socket on a node, below `/run`.
pub const SOCKET: &str = "/run/archipelago/archipelago.sock";
/// The daemon's socket in user mode, below `XDG_RUNTIME_DIR`.
pub const USER_SOCKET: &str = "archipelago/archipelago.sock";
