//! Watches a new version for its soak: looks again and again with a deadline, since nothing announces
//! that an app goes on being well.

use std::time::Duration;

use archy_plan::Soak;
use archy_types::UserError;
use tokio::time::{Instant, sleep_until};

use crate::execute::Context;
use crate::ports::{Host, Interest, Progress, ProgressSink};

/// Pause between two looks.
const POLL: Duration = Duration::from_secs(2);

/// Watches the app for so long.
///
/// # Errors
/// It does not hold out, or is not well at the end.
pub(crate) async fn watch<H: Host>(
    cx: &Context<'_, H>,
    soak: Duration,
    progress: &ProgressSink,
) -> Result<(), UserError> {
    let end = Instant::now() + soak;
    let interest = Interest::of([cx.app], &[]);
    let first = cx.host.observe(&interest).await;
    let mut verdict = archy_plan::soak(cx.app, &first, &first);
    loop {
        if let Soak::Sick(error) = verdict {
            return Err(error);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let percent = 100 - left.as_millis() * 100 / soak.as_millis().max(1);
        let text = format!("{} s to go", left.as_secs());
        progress(Progress { text, percent: u8::try_from(percent).ok(), bytes: None });
        sleep_until(end.min(Instant::now() + POLL)).await;
        verdict = archy_plan::soak(cx.app, &first, &cx.host.observe(&interest).await);
    }
    match verdict {
        Soak::Well => Ok(()),
        Soak::Unsure(error) | Soak::Sick(error) => Err(error),
    }
}
