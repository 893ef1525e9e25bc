//! The state subscription at `/ws/state?since=<seq>`.
//!
//! The client may send one [`Subscribe`] instead of the query. The server answers with text frames
//! of [`StateFrame`]: first a snapshot, or, when it still holds the changes after `since`, patches
//! right away; then one patch for each change. A heartbeat comes when nothing changed for 15 s.
//! A client that missed a patch (`from` is not its own number) subscribes afresh.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ts_rs::TS;

use crate::state::StateData;

/// Seconds without a frame after which the server sends a heartbeat.
pub const HEARTBEAT_SECS: u64 = 15;

/// What a client may send.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct Subscribe {
    /// The sequence number that the client has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(untagged)]
pub enum StateFrame {
    /// The whole state.
    Snapshot {
        /// Its sequence number.
        seq: u64,
        /// The state, as `data` of `server.get-state`.
        snapshot: Box<StateData>,
    },
    /// What changed.
    Patch {
        /// Sequence number afterwards.
        seq: u64,
        /// Sequence number that the patch is for.
        from: u64,
        /// Operations (RFC 6902).
        patch: Vec<PatchOperation>,
    },
    /// The connection lives.
    Heartbeat {
        /// The server's time (milliseconds since 1970).
        heartbeat: i64,
    },
}

/// One operation of a JSON patch (RFC 6902 §4); paths are JSON pointers (RFC 6901).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum PatchOperation {
    /// Adds a member or inserts an element.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Removes.
    Remove {
        /// What.
        path: String,
    },
    /// Replaces.
    Replace {
        /// Where.
        path: String,
        /// With what.
        value: Value,
    },
    /// Moves.
    Move {
        /// From where.
        from: String,
        /// To where.
        path: String,
    },
    /// Copies.
    Copy {
        /// From where.
        from: String,
        /// To where.
        path: String,
    },
    /// Must be equal.
    Test {
        /// Where.
        path: String,
        /// To what.
        value: Value,
    },
}
