//! The second factor: codes that change every 30 s (RFC 6238), each taken once, and backup codes.

use std::fmt;

use archy_types::UserError;
use rand::TryRngCore as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Secret, Totp};

/// Backup codes that are given out at once.
const BACKUP_CODES: usize = 10;
/// Bytes of the secret: the 160 bits that RFC 4226 recommends.
const SECRET_BYTES: usize = 20;
/// Letters and digits that are not mistaken for each other: 32 of them.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Characters of a backup code: 60 bits.
const CODE_LENGTH: usize = 12;

/// What is kept of a second factor.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The shared secret in base32.
    secret: String,
    /// Number of the last 30 s in which a code was taken: none of it or of before is taken again.
    last_step: u64,
    /// SHA-256 of the backup codes that were not used yet.
    backup: Vec<String>,
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecondFactor(…)")
    }
}

impl SecondFactor {
    /// A second factor with a secret of its own.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn generate() -> Result<Self, UserError> {
        let secret = Secret::from(random::<SECRET_BYTES>()?.to_vec()).to_base32();
        Ok(Self { secret, last_step: 0, backup: Vec::new() })
    }

    /// The secret in base32, for a person to type.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The address that authenticator apps read from a QR code.
    #[must_use]
    pub fn uri(&self, node: &str, user: &str) -> String {
        let label: String =
            form_urlencoded::byte_serialize(format!("{node} ({user})").as_bytes()).collect();
        let label = label.replace('+', "%20");
        format!("otpauth://totp/Archipelago:{label}?secret={}&issuer=Archipelago", self.secret)
    }

    /// Takes a code of `now` (seconds since 1970), of the 30 s before or of those after, if none of
    /// that time was taken yet.
    #[must_use]
    pub fn take(&mut self, code: &str, now: u64) -> bool {
        let Some(totp) = self.totp() else { return false };
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        match totp.check(&code, now).filter(|step| *step > self.last_step) {
            Some(step) => {
                self.last_step = step;
                true
            }
            None => false,
        }
    }

    fn totp(&self) -> Option<Totp> {
        let secret = Secret::try_from_base32(&self.secret).ok()?;
        Builder::new().with_secret(secret).build().ok()
    }

    /// Takes a backup code, once.
    #[must_use]
    pub fn take_backup(&mut self, code: &str) -> bool {
        let given = hash(code);
        let at = self.backup.iter().position(|kept| kept.as_bytes().ct_eq(given.as_bytes()).into());
        at.map(|at| self.backup.remove(at)).is_some()
    }

    /// New backup codes in place of all others.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn renew_backup(&mut self) -> Result<Vec<String>, UserError> {
        let codes = (0..BACKUP_CODES).map(|_| backup_code()).collect::<Result<Vec<_>, _>>()?;
        self.backup = codes.iter().map(|code| hash(code)).collect();
        Ok(codes)
    }

    /// How many backup codes are left.
    #[must_use]
    pub fn backup_left(&self) -> u32 {
        u32::try_from(self.backup.len()).unwrap_or(u32::MAX)
    }
}

/// Twelve characters in three groups.
fn backup_code() -> Result<String, UserError> {
    let mut code = String::with_capacity(CODE_LENGTH + 2);
    for (at, byte) in random::<CODE_LENGTH>()?.into_iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        // 32 divides 256: every letter is as likely as the others
        code.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    }
    Ok(code)
}

/// Of a code as people type it: without hyphens, in any case.
fn hash(code: &str) -> String {
    let plain: String =
        code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    hex::encode(Sha256::digest(format!("archipelago backup code 1 {plain}")))
}

/// Random bytes of the system.
///
/// # Errors
/// It has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], UserError> {
    let mut bytes = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|error| {
        UserError::new("no-randomness", format!("The system gives no random bytes: {error}."))
            .hint("Try again in a moment.")
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B, in base32.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn factor() -> SecondFactor {
        SecondFactor { secret: RFC.into(), last_step: 0, backup: Vec::new() }
    }

    #[test]
    fn codes_of_the_rfc_each_taken_once() {
        // the last six of the eight digits of the appendix
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            let mut one = factor();
            assert!(!one.take("000000", now) && !one.take("", now));
            assert!(one.take(code, now), "{now}");
            assert!(!one.take(code, now), "{now}: a second time");
            assert!(!one.take(code, now + 30), "{now}: half a minute later");
        }
        let mut one = factor();
        assert!(one.take("050 471", 1_111_111_111 + 30), "of the 30 s before");
        assert!(!one.take("081804", 1_111_111_109), "older than what was taken");
        assert!(!factor().take("050471", 1_111_111_111 + 61));
    }

    #[test]
    fn backup_codes_work_once_and_are_not_kept() {
        let mut one = SecondFactor::generate().unwrap();
        let codes = one.renew_backup().unwrap();
        assert_eq!(codes.len(), BACKUP_CODES);
        let kept = serde_json::to_string(&one).unwrap();
        assert!(codes.iter().all(|code| !kept.contains(code.as_str())));
        assert!(one.take_backup(&codes[3].to_lowercase().replace('-', " ")));
        assert!(!one.take_backup(&codes[3]) && !one.take_backup(""));
        assert_eq!(one.backup_left(), 9);
        one.renew_backup().unwrap();
        assert!(!one.take_backup(&codes[4]));
        assert!(!format!("{one:?}").contains(one.secret()));
    }

    #[test]
    fn the_address_for_apps() {
        let uri = factor().uri("Our house", "ann");
        let expected = format!(
            "otpauth://totp/Archipelago:Our%20house%20%28ann%29?secret={RFC}&issuer=Archipelago"
        );
        assert_eq!(uri, expected);
    }
}
