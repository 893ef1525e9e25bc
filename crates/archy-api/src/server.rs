//! `server.*`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::state::StateData;

/// Result of `server.get-state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
pub struct GetStateResult {
    /// Sequence number of the state; a subscription goes on from it.
    pub seq: u64,
    /// The state document.
    pub data: StateData,
}

/// Parameters of `server.set-name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SetNameParams {
    /// Name for people, 1 to 64 characters.
    pub name: String,
}

/// Result of `server.set-name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct SetNameResult {
    /// The name as it is now.
    pub name: String,
}
