//! Hashing and checking the owner's password, off the async threads and not too many at once.

use archy_types::{Secret, UserError};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

/// Shortest password, in characters.
pub const MIN_LENGTH: usize = 8;
/// Longest password, in bytes.
pub const MAX_LENGTH: usize = 1024;

/// A hash that no password fits, made at the first need.
static NOBODY: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();

/// Hashes being computed at once: each takes 19 MiB and a core.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is wrong.
    Wrong,
    /// It is right.
    Right,
    /// It is right, and its hash is of an old kind that should be made anew.
    RightButOld,
}

/// Checks the length of a new password.
///
/// # Errors
/// `password-too-weak` or `password-long`.
pub fn check_new(password: &str) -> Result<(), UserError> {
    if password.chars().count() < MIN_LENGTH {
        let message = format!("Invalid password: it needs at least {MIN_LENGTH} characters.");
        return Err(UserError::new("password-too-weak", message).hint("Choose a longer one."));
    }
    if password.len() > MAX_LENGTH {
        let message = format!("Invalid password: it has more than {MAX_LENGTH} bytes.");
        return Err(UserError::new("password-long", message).hint("Choose a shorter one."));
    }
    Ok(())
}

/// Makes an Argon2id hash in PHC form.
///
/// # Errors
/// The system has no randomness or memory.
pub async fn hash(password: String) -> Result<String, UserError> {
    let password = Secret::new(password);
    blocking(move || {
        Argon2::default().hash_password(password.expose()).map(|hash| hash.to_string()).ok()
    })
    .await
    .flatten()
    .ok_or_else(|| {
        UserError::new("password-hash", "The password could not be hashed.")
            .hint("The machine may be short of memory; try again.")
    })
}

/// A hash that no password fits: to check against when there is no such user, so that it takes as
/// long as with one.
pub async fn nobody() -> String {
    let make = async {
        let text = super::totp::random::<32>().map(hex::encode).unwrap_or_default();
        hash(text).await.unwrap_or_default()
    };
    NOBODY.get_or_init(|| make).await.clone()
}

/// Checks a password against a hash (Argon2 or bcrypt). A hash that cannot be read is not
/// matched by any password.
pub async fn verify(password: String, hash: String) -> Verdict {
    if password.len() > MAX_LENGTH {
        return Verdict::Wrong;
    }
    let password = Secret::new(password);
    let check = move || {
        if hash.starts_with("$2") {
            return match bcrypt::verify(password.expose(), &hash) {
                Ok(true) => Verdict::RightButOld,
                _ => Verdict::Wrong,
            };
        }
        let Ok(parsed) = PasswordHash::new(&hash) else { return Verdict::Wrong };
        match Argon2::default().verify_password(password.expose(), &parsed) {
            Ok(()) => Verdict::Right,
            Err(_) => Verdict::Wrong,
        }
    };
    blocking(check).await.unwrap_or(Verdict::Wrong)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _slot = SLOTS.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_kinds_of_hash() {
        let new = hash("correct horse".into()).await.unwrap();
        assert!(new.starts_with("$argon2id$"), "{new}");
        let old = bcrypt::hash("correct horse", 4).unwrap();
        for (password, hash, verdict) in [
            ("correct horse", new.clone(), Verdict::Right),
            ("correct hors", new, Verdict::Wrong),
            ("correct horse", old.clone(), Verdict::RightButOld),
            ("wrong", old, Verdict::Wrong),
            ("anything", "not a hash".into(), Verdict::Wrong),
            ("", String::new(), Verdict::Wrong),
        ] {
            assert_eq!(verify(password.into(), hash).await, verdict, "{password}");
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(check_new("1234567").unwrap_err().code.as_str(), "password-too-weak");
        assert_eq!(check_new("éééééééé"), Ok(()));
        assert_eq!(check_new(&"x".repeat(1025)).unwrap_err().code.as_str(), "password-long");
    }
}
