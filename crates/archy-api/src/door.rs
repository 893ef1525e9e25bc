//! `seed.*`, `auth.onboarding`, `system.node-ca.*`: what is done once, and the node's certificate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::hidden::Hidden;

/// How far a node is with its recovery seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum SeedState {
    /// There is none yet.
    Missing,
    /// It was made and shown, and nobody has proved yet that they wrote it down.
    Unconfirmed,
    /// It was written down and checked, or brought along; it is never shown again.
    Confirmed,
}

/// Result of `auth.onboarding`: what of the first steps is done. They can be taken up again at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OnboardingStatus {
    /// The owner's password is set.
    pub password: bool,
    /// The recovery seed.
    pub seed: SeedState,
    /// The owner went through the page about the certificate, or put it off.
    pub complete: bool,
}

/// Result of `seed.generate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct GeneratedSeed {
    /// 24 words (BIP-39, English).
    pub words: Vec<Hidden>,
    /// Places, from 1, of the words that `seed.confirm` asks for.
    pub ask: Vec<u32>,
}

/// Parameters of `seed.confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ConfirmSeedParams {
    /// The words that were asked for, in the order of `ask`.
    pub words: Vec<Hidden>,
}

/// Parameters of `seed.restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RestoreSeedParams {
    /// 24 words, separated by spaces.
    pub words: Hidden,
}

/// Result of `system.node-ca` and `system.node-ca.generate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NodeCa {
    /// SHA-256 of the authority's certificate: 32 bytes in upper-case hex, separated by colons.
    pub fingerprint: Option<String>,
    /// Name of the authority.
    pub subject: Option<String>,
    /// Where it can be fetched without TLS.
    pub path: String,
    /// From when on the authority does not count (milliseconds since 1970).
    pub expires: Option<i64>,
    /// The node's own certificate.
    pub leaf: Option<LeafInfo>,
    /// The certificate for the public name, when one is set.
    pub public: Option<PublicPair>,
}

/// The certificate that the node shows under its own names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct LeafInfo {
    /// The node's authority issued it; else it is the operator's own and is left alone.
    pub own: bool,
    /// Names and addresses that it covers.
    pub names: Vec<String>,
    /// From when on it does not count (milliseconds since 1970).
    pub expires: i64,
}

/// The operator's certificate for the public name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PublicPair {
    /// The public name.
    pub host: String,
    /// A pair that covers it is in use.
    pub in_use: bool,
    /// Why the files that are there are not used.
    pub fault: Option<String>,
}
