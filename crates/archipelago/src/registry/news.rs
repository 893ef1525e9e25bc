//! Asking registries for news: on a timer with jitter, and when the owner says so.

use std::sync::Arc;
use std::time::Duration;

use archy_types::UserError;

use super::{Registries, is_refusal, now, read, read_again};
use crate::app::App;
use crate::clock;

/// How often it is looked whether one is due.
pub const PERIOD: Duration = Duration::from_secs(30);
/// First pause after a failure, doubled with each further one up to the owner's interval.
const FIRST_PAUSE: u64 = 5 * 60 * 1000;

/// Asks those that are due, one after the other.
pub async fn look(app: Arc<App>) {
    let minutes = match app.registries.policy().await {
        Ok(policy) => policy.refresh_minutes,
        Err(error) => {
            tracing::warn!(%error, "the update policy cannot be read");
            return;
        }
    };
    // dates mean nothing while the clock is doubted
    let doubted = app.doubt.at(clock::steady_millis()).is_some();
    if minutes == 0 || doubted {
        return;
    }
    for name in app.registries.due(clock::steady_millis()) {
        if let Err(error) = app.registries.ask(&name, minutes).await {
            tracing::info!(registry = name, code = %error.code, %error, "no news");
        }
        app.take_over_registries().await;
    }
}

impl Registries {
    fn due(&self, steady: u64) -> Vec<String> {
        let states = self.states().into_iter();
        states.filter(|(_, state)| state.due <= steady).map(|(name, _)| name).collect()
    }

    /// Asks one registry for news.
    ///
    /// # Errors
    /// What came was refused, or nothing came; it stands in its record as well.
    pub async fn ask(&self, name: &str, minutes: u32) -> Result<(), UserError> {
        let _busy = self.busy.lock().await;
        let mut state = self.state(name)?;
        let client = self.client(name);
        let asked = client.refresh(&self.transport(&state.kept.url), now()).await;
        let interval = jittered(u64::from(minutes.max(15)) * 60_000);
        let outcome = match asked {
            Ok(refreshed) => {
                let known = refreshed.known();
                let offered = tokio::task::block_in_place(|| match &state.offered {
                    Some(before) => read_again(known, before),
                    None => read(known),
                });
                state.offered = Some(Arc::new(offered));
                (state.failures, state.error) = (0, None);
                state.due = clock::steady_millis() + interval;
                Ok(())
            }
            Err(error) => {
                if is_refusal(&error) {
                    tracing::warn!(registry = name, code = error.code(), %error, "refused");
                }
                let pause = FIRST_PAUSE << state.failures.min(8);
                state.failures = state.failures.saturating_add(1);
                state.due = clock::steady_millis() + jittered(pause).min(interval);
                state.error = Some(error.clone().into());
                Err(UserError::from(error))
            }
        };
        self.put(name, state);
        outcome
    }
}

/// A time give or take a fifth, so that not all nodes ask at once.
fn jittered(millis: u64) -> u64 {
    let part = u64::from(rand::random::<u16>()) * (millis * 2 / 5) / u64::from(u16::MAX);
    millis - millis / 5 + part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_fifth() {
        for _ in 0..1000 {
            assert!((800_000..=1_200_000).contains(&jittered(1_000_000)));
        }
    }
}
