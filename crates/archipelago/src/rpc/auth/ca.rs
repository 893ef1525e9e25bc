//! `system.node-ca`: the node's certificates.

use archy_api::door::NodeCa;
use archy_api::rpc::NoParams;
use archy_types::UserError;

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::{clock, net};

pub(in crate::rpc) async fn show(app: &App, _: &Call, _: NoParams) -> Answer<NodeCa> {
    Ok(app.certs().map(|certs| certs.describe()).unwrap_or_else(net::authority::nothing))
}

pub(in crate::rpc) async fn generate(app: &App, _: &Call, _: NoParams) -> Answer<NodeCa> {
    let Some(certs) = app.certs().cloned() else { return Ok(net::authority::nothing()) };
    let names = net::certs::names_of(&app.config);
    let now = clock::now();
    let issued = tokio::task::spawn_blocking(move || {
        certs.issue(&names, now, true).map(|_| certs.describe())
    });
    let issued = issued.await.map_err(|error| UserError::new("internal", error.to_string()))?;
    Ok(issued.map_err(|error| {
        UserError::new("certificate-unusable", error.to_string())
            .hint("The service user must be able to write the certificate's directory (ssl_dir).")
    })?)
}
