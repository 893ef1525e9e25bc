//! Requests to ports of this host, for hooks.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use archy_engine::ports::HookRequest;
use archy_fetch::local::{self, LocalRequest};
use archy_types::UserError;

/// Makes a hook's request on loopback.
pub(super) async fn ask(
    request: &HookRequest,
    deadline: Duration,
    max_body: usize,
) -> Result<(u16, String), UserError> {
    let asked = LocalRequest {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, request.port)),
        method: request.method.clone(),
        path: request.path.clone(),
        body: request.body.clone(),
    };
    let answer = local::request(&asked, deadline, max_body)
        .await
        .map_err(|error| UserError::new("hook-http", error.to_string()))?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}
