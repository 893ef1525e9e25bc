//! Templates: text with placeholders such as `{{HOST_IP}}` from a closed list.

use std::fmt;

use archy_types::UserError;

/// The placeholders without an argument, with what they stand for.
pub const PLACEHOLDERS: &[(&str, &str)] = &[
    ("HOST_IP", "Primary IPv4 address of the node."),
    ("HOST_MDNS", "`<hostname>.local`."),
    ("DISK_GB", "Usable GB at the data directory."),
    ("BITCOIN_HOST", "Container name of the running Bitcoin node."),
    (
        "NODE_IDENTITY_PUBKEYS",
        "Nostr keys of the signable identities: lower-case hex, sorted, joined by commas. With none, the app does not start.",
    ),
    ("NODE_NOSTR_PUBKEY", "Discovery key of the node; superseded by `NODE_IDENTITY_PUBKEYS`."),
    ("PUBLIC_HOST", "The operator's public hostname, else the value of `HOST_IP`."),
    (
        "NETWORK_GATEWAY",
        "Gateway of the app's network, which is its DNS resolver. Only in `files`.",
    ),
    (
        "secret:NAME",
        "Trimmed content of a secret. Only in `files` and `derived_env`; the variable is then handed over as a secret.",
    ),
    (
        "config:KEY",
        "Value of a setting. Not in `certs`; secret settings only in `files` and `derived_env`.",
    ),
    ("role:NAME", "Container name of the app that fills a required role. Not in `certs`."),
    (
        "port:PORT",
        "Port of the node that takes the place of the `host` port PORT of `ports`: PORT itself, unless the owner chose another one. Not in `certs`.",
    ),
];

/// A parsed template. Made by [`Template::parse`]; printed back exactly as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stays.
    Text(String),
    /// A placeholder.
    Placeholder(Placeholder),
}

/// A value that the node fills in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Placeholder {
    /// Primary IPv4 address.
    HostIp,
    /// `<hostname>.local`.
    HostMdns,
    /// Usable GB at the data directory.
    DiskGb,
    /// Container name of the running Bitcoin node.
    BitcoinHost,
    /// Signable identities' Nostr keys.
    NodeIdentityPubkeys,
    /// Discovery key; superseded.
    NodeNostrPubkey,
    /// The operator's public hostname, else the primary address.
    PublicHost,
    /// Gateway of the app's network; files only.
    NetworkGateway,
    /// Trimmed content of a secret; files only.
    Secret(String),
    /// Value of a setting.
    Config(String),
    /// Container name of the app that fills a required role.
    RoleHost(String),
    /// Port of the node that takes the place of one of the manifest's host ports.
    Port(u16),
}

impl Placeholder {
    /// The error of a node that has no value for it.
    #[must_use]
    pub fn unknown(&self) -> UserError {
        let text = format!("The value of {{{{{self}}}}} is not known on this node.");
        UserError::new("placeholder-unknown", text)
            .hint("Set it in the app's settings, or install what provides it.")
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostIp => f.write_str("HOST_IP"),
            Self::HostMdns => f.write_str("HOST_MDNS"),
            Self::DiskGb => f.write_str("DISK_GB"),
            Self::BitcoinHost => f.write_str("BITCOIN_HOST"),
            Self::NodeIdentityPubkeys => f.write_str("NODE_IDENTITY_PUBKEYS"),
            Self::NodeNostrPubkey => f.write_str("NODE_NOSTR_PUBKEY"),
            Self::PublicHost => f.write_str("PUBLIC_HOST"),
            Self::NetworkGateway => f.write_str("NETWORK_GATEWAY"),
            Self::Secret(name) => write!(f, "secret:{name}"),
            Self::Config(key) => write!(f, "config:{key}"),
            Self::RoleHost(role) => write!(f, "role:{role}"),
            Self::Port(port) => write!(f, "port:{port}"),
        }
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Packagers' CI looks for the words `unknown placeholder`.
    #[error("unknown placeholder {{{{{0}}}}}")]
    Unknown(String),
    /// `{{` without `}}` or the other way round.
    #[error("unbalanced braces at byte {0}")]
    Unbalanced(usize),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// An unknown placeholder or unbalanced `{{`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            let at = text.len() - rest.len() + open;
            let (before, after) = (&rest[..open], &rest[open + 2..]);
            let close = after.find("}}").ok_or(TemplateError::Unbalanced(at))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Placeholder(placeholder(after[..close].trim())?));
            rest = &after[close + 2..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// A template of parts.
    #[must_use]
    pub fn from_parts(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// The parts in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The placeholders in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }

    /// Fills in the placeholders.
    ///
    /// # Errors
    /// Whatever `value` says of the first placeholder it cannot fill.
    pub fn resolve<E>(
        &self,
        mut value: impl FnMut(&Placeholder) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(placeholder) => out.push_str(&value(placeholder)?),
            }
        }
        Ok(out)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(text)?,
                Part::Placeholder(placeholder) => write!(f, "{{{{{placeholder}}}}}")?,
            }
        }
        Ok(())
    }
}

fn placeholder(name: &str) -> Result<Placeholder, TemplateError> {
    Ok(match name {
        "HOST_IP" => Placeholder::HostIp,
        "HOST_MDNS" => Placeholder::HostMdns,
        "DISK_GB" => Placeholder::DiskGb,
        "BITCOIN_HOST" => Placeholder::BitcoinHost,
        "NODE_IDENTITY_PUBKEYS" => Placeholder::NodeIdentityPubkeys,
        "NODE_NOSTR_PUBKEY" => Placeholder::NodeNostrPubkey,
        "PUBLIC_HOST" => Placeholder::PublicHost,
        "NETWORK_GATEWAY" => Placeholder::NetworkGateway,
        _ => match name.split_once(':') {
            Some(("secret", name)) if !name.is_empty() => Placeholder::Secret(name.to_owned()),
            Some(("config", key)) if !key.is_empty() => Placeholder::Config(key.to_owned()),
            Some(("role", role)) if !role.is_empty() => Placeholder::RoleHost(role.to_owned()),
            Some(("port", port)) => match number(port) {
                Some(port) => Placeholder::Port(port),
                None => return Err(TemplateError::Unknown(name.to_owned())),
            },
            _ => return Err(TemplateError::Unknown(name.to_owned())),
        },
    })
}

/// A port as [`Placeholder::Port`] prints it again: digits alone, no nought before them.
fn number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| *port > 0 && port.to_string() == text)
}
