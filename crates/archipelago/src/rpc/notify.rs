//! `notify.*`.

use archy_api::notify::{
    AttentionList, MarkParams, NotifySetParams, NotifySettings, NotifyTestParams, PushAddParams,
    PushRemoveParams,
};
use archy_api::rpc::NoParams;

use super::table::{Answer, Call};
use crate::app::App;
use crate::{clock, notify};

pub(super) async fn list(app: &App, _: &Call, _: NoParams) -> Answer<AttentionList> {
    Ok(app.notify.list())
}

pub(super) async fn mark(app: &App, _: &Call, params: MarkParams) -> Answer<AttentionList> {
    app.notify.mark(params).await?;
    app.hub.set_unread(app.notify.unread());
    Ok(app.notify.list())
}

pub(super) async fn settings(app: &App, _: &Call, _: NoParams) -> Answer<NotifySettings> {
    Ok(app.notify.settings()?)
}

pub(super) async fn set(app: &App, _: &Call, params: NotifySetParams) -> Answer<NotifySettings> {
    app.notify.set(params).await?;
    Ok(app.notify.settings()?)
}

pub(super) async fn test(app: &App, _: &Call, params: NotifyTestParams) -> Answer<()> {
    Ok(notify::test(app, params.channel).await?)
}

pub(super) async fn push_add(app: &App, _: &Call, params: PushAddParams) -> Answer<NotifySettings> {
    app.notify.add(params, clock::now().0).await?;
    Ok(app.notify.settings()?)
}

pub(super) async fn push_remove(
    app: &App,
    _: &Call,
    params: PushRemoveParams,
) -> Answer<NotifySettings> {
    app.notify.remove(vec![params.id]).await?;
    Ok(app.notify.settings()?)
}
