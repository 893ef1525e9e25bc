//! Random bytes of the operating system.

use archy_types::UserError;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Fills an array with random bytes.
///
/// # Errors
/// `random-unavailable`: the operating system gives none.
pub fn bytes<const N: usize>() -> Result<[u8; N], UserError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        UserError::new("random-unavailable", "The operating system gives no random bytes.")
            .hint("Try again; if it stays so, restart the machine.")
    })?;
    Ok(bytes)
}
