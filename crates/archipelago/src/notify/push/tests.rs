//! The example of the standard, the signature of the sender, limits.

use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey as VerifyKey};

use super::*;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
}

/// RFC 8291 §5 and appendix A.
#[test]
fn the_example_of_the_standard() {
    let point =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    let auth = "BTBZMqHH6r4Tts7J_aSIgg";
    let public =
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
    let shared: [u8; 32] = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
    let sealed = seal(
        &shared,
        (&bytes(point), &bytes(auth)),
        &bytes(public),
        bytes("DGv6ra1nlYgDCS1FRnbzlw"),
        b"When I grow up, I want to be a watermelon",
    );
    let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLoc\
                    InmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLV\
                    WGNWQexSgSxsj_Qulcy4a-fN";
    assert_eq!(URL_SAFE_NO_PAD.encode(sealed.unwrap()), expected);
    let (key, secret) = parse(point, auth).unwrap();
    assert_eq!((key[0], secret.len()), (4, 16));
    assert_eq!(parse(auth, auth), None);
}

/// What the node says of itself is signed, for this push service, and ends.
#[test]
fn the_sender_is_signed() {
    let keys = Keys::read(&Keys::generate().unwrap()).unwrap();
    let endpoint: Uri = "https://push.example:8443/abc?d".parse().unwrap();
    let header = keys.authorization(&endpoint, "mailto:owner@home.local", 1_000_000).unwrap();
    let token = header.strip_prefix("vapid t=").unwrap();
    let (token, key) = token.split_once(", k=").unwrap();
    let (text, signature) = token.rsplit_once('.').unwrap();
    let key = URL_SAFE_NO_PAD.decode(key).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let verifier = VerifyKey::new(&ECDSA_P256_SHA256_FIXED, &key);
    verifier.verify(text.as_bytes(), &signature).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let expected = json!({ "aud": "https://push.example:8443", "exp": 1000 + SIGNED, "sub": "mailto:owner@home.local" });
    assert_eq!(claims, expected);
    assert_eq!(host("https://push.example/x").as_deref(), Some("push.example"));
    assert_eq!((host("http://push.example/x"), host("https://a@b/")), (None, None));
}

#[test]
fn what_is_too_long_is_refused() {
    let browser = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
    let point = browser.compute_public_key().unwrap().as_ref().try_into().unwrap();
    let longest = encrypt(&(point, [7; 16]), &vec![b'x'; MAX_PLAIN]).unwrap();
    assert!(longest.len() <= RECORD as usize, "{}", longest.len());
    assert_eq!(encrypt(&(point, [7; 16]), &vec![b'x'; MAX_PLAIN + 1]), None);
    assert_eq!(encrypt(&([4; POINT], [7; 16]), b"x"), None, "no point of the curve");
}
