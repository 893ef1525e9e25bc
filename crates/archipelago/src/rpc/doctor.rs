//! `system.doctor`, `system.mend`, `system.support`.

use archy_api::doctor::{DoctorReport, MendParams, MendResult, SupportParams, SupportResult};
use archy_api::rpc::NoParams;

use super::table::{Answer, Call};
use crate::app::App;
use crate::{clock, doctor, support};

pub(super) async fn doctor(app: &App, _: &Call, _: NoParams) -> Answer<DoctorReport> {
    let at = clock::now().0;
    Ok(DoctorReport { at, checks: doctor::examine(app).await? })
}

pub(super) async fn mend(app: &App, _: &Call, params: MendParams) -> Answer<MendResult> {
    Ok(MendResult { mends: doctor::apply(app, params.fixes).await? })
}

pub(super) async fn support(app: &App, _: &Call, params: SupportParams) -> Answer<SupportResult> {
    Ok(SupportResult { files: support::files(app, params).await? })
}
