//! Who may call a method, from where, and how often.

use serde::{Deserialize, Serialize};

/// Role of a session.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    ts_rs::TS,
)]
pub enum Role {
    /// May open apps, nothing else.
    AppUser,
    /// May read.
    Viewer,
    /// May do everything.
    Admin,
}

/// Which `Origin` headers are let through. Connections over the unix socket pass every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OriginRule {
    /// Not looked at.
    Any,
    /// No `Origin` (a command line), or one on port 80 or 443: app pages share the host's cookies
    /// and must not act with them.
    Standard,
    /// An `Origin` over http(s) on port 80 or 443 whose host is the `Host` header's; none is
    /// refused.
    Prompt,
}

/// At most `count` calls per `seconds` from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Calls.
    pub count: u32,
    /// Length of the window in seconds.
    pub seconds: u32,
}

/// What is asked of a caller. Connections over the unix socket are an administrator's and need
/// neither session nor CSRF token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Access {
    /// Needs no session.
    pub public: bool,
    /// The least role.
    pub role: Role,
    /// Needs the CSRF header.
    pub csrf: bool,
    /// The origin rule.
    pub origin: OriginRule,
    /// The rate limit, if any.
    pub rate: Option<RateLimit>,
}

impl Access {
    /// No session needed.
    #[must_use]
    pub const fn public() -> Self {
        Self { public: true, role: Role::AppUser, csrf: false, origin: OriginRule::Any, rate: None }
    }

    /// A session of at least this role that only reads: no CSRF token.
    #[must_use]
    pub const fn read(role: Role) -> Self {
        Self { public: false, role, csrf: false, origin: OriginRule::Any, rate: None }
    }

    /// A session of at least this role, the CSRF token and the standard origin rule.
    #[must_use]
    pub const fn write(role: Role) -> Self {
        Self { public: false, role, csrf: true, origin: OriginRule::Standard, rate: None }
    }

    /// With a rate limit.
    #[must_use]
    pub const fn rate(mut self, count: u32, seconds: u32) -> Self {
        self.rate = Some(RateLimit { count, seconds });
        self
    }

    /// With another origin rule.
    #[must_use]
    pub const fn origin(mut self, origin: OriginRule) -> Self {
        self.origin = origin;
        self
    }
}
