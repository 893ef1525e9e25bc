//! The error of the manager's client, with stable codes, hints and whether to try again.

use std::time::Duration;

use archy_types::UserError;
use thiserror::Error;

/// Why a call to the user manager failed.
#[derive(Debug, Error)]
pub enum SystemdError {
    /// The bus cannot be reached, or the manager is not on it.
    #[error("the user manager's bus at {address} cannot be reached")]
    Unreachable {
        /// Address of the bus.
        address: String,
        /// What the D-Bus layer said.
        #[source]
        source: zbus::Error,
    },
    /// The connection ended. Connect again; jobs go on without us.
    #[error("the connection to the user manager ended during {op}")]
    Lost {
        /// What was asked.
        op: String,
    },
    /// The deadline passed. What was asked for may still happen.
    #[error("{op} did not end within {} ms", after.as_millis())]
    Timeout {
        /// What was asked.
        op: String,
        /// The deadline that was given.
        after: Duration,
    },
    /// There is no such unit.
    #[error("systemd knows no unit {unit}")]
    NoSuchUnit {
        /// Name of the unit.
        unit: String,
    },
    /// systemd said no.
    #[error("systemd refused {op}: {message} ({name})")]
    Refused {
        /// What was asked.
        op: String,
        /// D-Bus name of the error.
        name: String,
        /// systemd's words.
        message: String,
    },
    /// The D-Bus layer failed, or the answer was not what the interface promises.
    #[error("{op} failed on the bus")]
    Bus {
        /// What was asked.
        op: String,
        /// What the D-Bus layer said.
        #[source]
        source: zbus::Error,
    },
}

// === impl SystemdError ===

impl SystemdError {
    /// Sorts an error of the D-Bus layer. `unit` is what the call was about, if one unit.
    pub(crate) fn from_bus(op: String, unit: Option<&str>, source: zbus::Error) -> Self {
        match source {
            zbus::Error::MethodError(name, message, _) => {
                if let (true, Some(unit)) = (name.ends_with(".NoSuchUnit"), unit) {
                    return Self::NoSuchUnit { unit: unit.to_owned() };
                }
                Self::Refused { op, name: name.to_string(), message: message.unwrap_or_default() }
            }
            zbus::Error::FDO(error) => Self::from_fdo(op, *error),
            zbus::Error::InputOutput(_) => Self::Lost { op },
            source => Self::Bus { op, source },
        }
    }

    fn from_fdo(op: String, error: zbus::fdo::Error) -> Self {
        match error {
            zbus::fdo::Error::NoReply(_)
            | zbus::fdo::Error::Disconnected(_)
            | zbus::fdo::Error::ServiceUnknown(_)
            | zbus::fdo::Error::NameHasNoOwner(_) => Self::Lost { op },
            other => Self::Refused {
                op,
                name: zbus::DBusError::name(&other).to_string(),
                message: zbus::DBusError::description(&other).unwrap_or_default().to_owned(),
            },
        }
    }

    /// True when the same call may well succeed a little later with nothing changed.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout { .. } => true,
            Self::NoSuchUnit { .. } | Self::Refused { .. } | Self::Bus { .. } => false,
        }
    }

    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "systemd-unreachable",
            Self::Lost { .. } => "systemd-connection-lost",
            Self::Timeout { .. } => "systemd-timeout",
            Self::NoSuchUnit { .. } => "unit-not-found",
            Self::Refused { .. } => "systemd-refused",
            Self::Bus { .. } => "systemd-bus-error",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => {
                "Check that the service user lingers (`loginctl show-user`) and its manager runs."
            }
            Self::Timeout { .. } => "See `systemctl --user list-jobs` and the unit's journal.",
            Self::NoSuchUnit { .. } => {
                "Podman's generator may have dropped its file; see `systemctl --user status`."
            }
            Self::Refused { .. } => "systemd's own words say what it would not do.",
            Self::Bus { .. } => {
                "This is likely a fault of Archipelago; please report it with this message."
            }
        }
    }

    /// The error in a user's words.
    #[must_use]
    pub fn to_user_error(&self) -> UserError {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        UserError::new(self.code(), message).hint(self.hint())
    }
}
