//! Whichever driver was chosen.

use std::net::SocketAddr;

use archy_client::Client;

use super::{Call, Io, Local, Node, NodeError, Output, Program};
use crate::phase::Capability;

/// This machine, or one behind a program.
#[derive(Debug)]
pub enum Chosen {
    /// This machine.
    Local(Local),
    /// Behind a program.
    Program(Program),
}

impl Node for Chosen {
    fn driver(&self) -> String {
        match self {
            Self::Local(node) => node.driver(),
            Self::Program(node) => node.driver(),
        }
    }

    fn can(&self, capability: Capability) -> Result<(), String> {
        match self {
            Self::Local(node) => node.can(capability),
            Self::Program(node) => node.can(capability),
        }
    }

    fn client(&self) -> Client {
        match self {
            Self::Local(node) => node.client(),
            Self::Program(node) => node.client(),
        }
    }

    async fn exec(&self, call: Call) -> Result<Output, NodeError> {
        match self {
            Self::Local(node) => node.exec(call).await,
            Self::Program(node) => node.exec(call).await,
        }
    }

    async fn connect(&self, to: SocketAddr) -> Result<Box<dyn Io>, NodeError> {
        match self {
            Self::Local(node) => node.connect(to).await,
            Self::Program(node) => node.connect(to).await,
        }
    }

    async fn restart_daemon(&self) -> Result<(), NodeError> {
        match self {
            Self::Local(node) => node.restart_daemon().await,
            Self::Program(node) => node.restart_daemon().await,
        }
    }

    async fn reboot(&self) -> Result<(), NodeError> {
        match self {
            Self::Local(node) => node.reboot().await,
            Self::Program(node) => node.reboot().await,
        }
    }

    async fn power_cut(&self) -> Result<(), NodeError> {
        match self {
            Self::Local(node) => node.power_cut().await,
            Self::Program(node) => node.power_cut().await,
        }
    }
}
