//! Messages to browsers: encrypted for each of them (RFC 8291, RFC 8188) and signed with the node's
//! key (VAPID, RFC 8292).

use archy_api::Hidden;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as ES256, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

/// Size of a record, and so of a whole message, in bytes (RFC 8291 §4).
const RECORD: u32 = 4096;
/// Longest text that fits beside header, padding and tag.
pub(super) const MAX_PLAIN: usize = 3992;
/// Uncompressed point of the P-256 curve.
const POINT: usize = 65;
/// How long a push service keeps a message for a browser that is away, in seconds.
const TTL: &str = "86400";
/// How long a signature counts, in seconds; a day is the most (RFC 8292 §2).
const SIGNED: i64 = 12 * 3600;

/// A browser's public key and its secret.
pub(super) type Browser = ([u8; POINT], [u8; 16]);

/// The node's key pair for messages.
#[derive(Debug)]
pub(super) struct Keys(EcdsaKeyPair);

impl Keys {
    /// A new pair, as it is kept.
    pub(super) fn generate() -> Option<Hidden> {
        let pair = EcdsaKeyPair::generate_pkcs8(&ES256, &SystemRandom::new()).ok()?;
        Some(Hidden::new(STANDARD.encode(pair.as_ref())))
    }

    /// The pair that was kept.
    pub(super) fn read(kept: &Hidden) -> Option<Self> {
        let bytes = STANDARD.decode(kept.expose()).ok()?;
        EcdsaKeyPair::from_pkcs8(&ES256, &bytes, &SystemRandom::new()).ok().map(Self)
    }

    /// The public key in base64url.
    pub(super) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())
    }

    /// The header that says who sends (RFC 8292 §3).
    fn authorization(&self, endpoint: &Uri, contact: &str, now: i64) -> Option<String> {
        let audience = format!("{}://{}", endpoint.scheme_str()?, endpoint.authority()?);
        let claims = json!({ "aud": audience, "exp": now / 1000 + SIGNED, "sub": contact });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({ "typ": "JWT", "alg": "ES256" })), part(&claims));
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Some(format!("vapid t={text}.{signature}, k={}", self.public()))
    }
}

/// Host of an https address.
pub(super) fn host(endpoint: &str) -> Option<String> {
    let uri: Uri = endpoint.parse().ok()?;
    let authority = uri.authority().filter(|it| !it.as_str().contains('@'))?;
    (uri.scheme_str() == Some("https")).then(|| authority.host().to_owned())
}

/// A browser's keys.
pub(super) fn parse(p256dh: &str, auth: &str) -> Option<Browser> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let point: [u8; POINT] = decode(p256dh)?.try_into().ok()?;
    // 4: both coordinates follow
    (point[0] == 4).then_some(())?;
    Some((point, decode(auth)?.try_into().ok()?))
}

/// Headers and body of a message.
pub(super) fn message(
    keys: &Keys,
    browser: &Browser,
    endpoint: &str,
    contact: &str,
    urgent: bool,
    plain: &[u8],
    now: i64,
) -> Option<(HeaderMap, Bytes)> {
    let endpoint: Uri = endpoint.parse().ok()?;
    let authorization = keys.authorization(&endpoint, contact, now)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&authorization).ok()?);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert("ttl", HeaderValue::from_static(TTL));
    headers.insert("urgency", HeaderValue::from_static(if urgent { "high" } else { "normal" }));
    Some((headers, encrypt(browser, plain)?.into()))
}

/// Encrypts for a browser.
fn encrypt((point, auth): &Browser, plain: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random).ok()?;
    let public: [u8; POINT] = own.compute_public_key().ok()?.as_ref().try_into().ok()?;
    let mut salt = [0; 16];
    random.fill(&mut salt).ok()?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, point);
    let sealed =
        agree_ephemeral(own, &peer, |shared| seal(shared, (point, auth), &public, salt, plain));
    sealed.ok()?
}

/// Number of bytes that are derived.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(secret);
    key.expand(info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

/// One record with its header (RFC 8291 §3.4, RFC 8188 §2).
fn seal(
    shared: &[u8],
    (point, auth): (&[u8; POINT], &[u8; 16]),
    public: &[u8; POINT],
    salt: [u8; 16],
    plain: &[u8],
) -> Option<Vec<u8>> {
    if plain.len() > MAX_PLAIN {
        return None;
    }
    let secret: [u8; 32] = derive(auth, shared, &[b"WebPush: info\0", point, public])?;
    let key: [u8; 16] = derive(&salt, &secret, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = derive(&salt, &secret, &[b"Content-Encoding: nonce\0"])?;
    // 2: the last record
    let mut body = [plain, &[2]].concat();
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut body).ok()?;
    let length = u8::try_from(public.len()).ok()?;
    Some([&salt[..], &RECORD.to_be_bytes(), &[length], public, &body].concat())
}

#[cfg(test)]
mod tests;
