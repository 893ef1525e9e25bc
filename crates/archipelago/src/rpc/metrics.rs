//! `package.metrics`, `system.metrics`.

use archy_api::metrics::{MetricsParams, MetricsResult, NodeMetricsParams};

use super::package::installed;
use super::table::{Answer, Call};
use crate::app::App;

pub(super) async fn of_app(app: &App, _: &Call, params: MetricsParams) -> Answer<MetricsResult> {
    installed(app, &params.id)?;
    Ok(app.metrics.of_app(&params.id, params.range))
}

pub(super) async fn of_node(
    app: &App,
    _: &Call,
    params: NodeMetricsParams,
) -> Answer<MetricsResult> {
    Ok(app.metrics.of_node(params.range))
}
