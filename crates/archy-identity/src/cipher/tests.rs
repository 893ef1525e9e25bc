//! The vectors of NIP-44 and what NIP-04 owes to older programs.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::public_key;

fn keys(hex: &str) -> Keys {
    Keys::parse(hex).unwrap()
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/vectors/nip44.json")).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// All of the specification's own vectors that fit this module's interface.
#[test]
fn nip44_vectors() {
    let vectors = vectors();
    let valid = vectors["v2"]["valid"]["encrypt_decrypt"].as_array().unwrap();
    assert!(!valid.is_empty());
    for case in valid {
        let (one, two) = (keys(text(case, "sec1")), keys(text(case, "sec2")));
        let (plain, payload) = (text(case, "plaintext"), text(case, "ciphertext"));
        for (reader, writer) in [(&one, &two), (&two, &one)] {
            let peer = writer.public_key();
            let read = run(reader, &peer, Direction::Decrypt, Scheme::Nip44, payload).unwrap();
            assert_eq!(read, plain);
        }
        let nonce: [u8; 32] = hex::decode(text(case, "nonce")).unwrap().try_into().unwrap();
        let nonce = nip44::Nonce::V2(nonce);
        let written =
            nip44::encrypt_with_nonce(one.secret_key(), &two.public_key(), plain, nonce).unwrap();
        assert_eq!(written, payload);
    }
    for case in vectors["v2"]["valid"]["get_conversation_key"].as_array().unwrap() {
        let secret = keys(text(case, "sec1"));
        let peer = public_key(text(case, "pub2")).unwrap();
        let key = nip44::v2::ConversationKey::derive(secret.secret_key(), &peer).unwrap();
        assert_eq!(hex::encode(key.as_bytes()), text(case, "conversation_key"));
    }
    for case in vectors["v2"]["invalid"]["get_conversation_key"].as_array().unwrap() {
        let secret = Keys::parse(text(case, "sec1"));
        let peer = public_key(text(case, "pub2"));
        assert!(secret.is_err() || peer.is_err(), "{}", case["note"]);
    }
}

#[test]
fn nip44_refuses_what_the_specification_refuses() {
    for case in vectors()["v2"]["invalid"]["decrypt"].as_array().unwrap() {
        let key = hex::decode(text(case, "conversation_key")).unwrap();
        let key = nip44::v2::ConversationKey::from_slice(&key).unwrap();
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::STANDARD.decode(text(case, "ciphertext"));
        let read = payload.map(|payload| nip44::v2::decrypt_to_bytes(&key, &payload));
        assert!(read.is_err() || read.unwrap().is_err(), "{}", case["note"]);
    }
}

#[test]
fn the_longest_text_fits() {
    let (one, two) = (Keys::generate(), Keys::generate());
    let plain = "x".repeat(MAX_PLAINTEXT);
    for scheme in [Scheme::Nip04, Scheme::Nip44] {
        let sealed = run(&one, &two.public_key(), Direction::Encrypt, scheme, &plain).unwrap();
        assert!(sealed.len() <= MAX_CIPHERTEXT);
        let read = run(&two, &one.public_key(), Direction::Decrypt, scheme, &sealed).unwrap();
        assert_eq!(read, plain);
    }
}

/// Written by another implementation.
#[test]
fn nip04_vector() {
    let one = keys("6b911fd37cdf5c81d4c0adb1ab7fa822ed253ab0ad9aa18d77257c88b29b718e");
    let two = keys("7b911fd37cdf5c81d4c0adb1ab7fa822ed253ab0ad9aa18d77257c88b29b718e");
    let payload = "dJc+WbBgaFCD2/kfg1XCWJParplBDxnZIdJGZ6FCTOg=?iv=M6VxRPkMZu7aIdD+10xPuw==";
    for (reader, writer) in [(&one, &two), (&two, &one)] {
        let read = run(reader, &writer.public_key(), Direction::Decrypt, Scheme::Nip04, payload);
        assert_eq!(read.unwrap(), "Saturn, bringer of old age");
    }
}

#[test]
fn what_does_not_open_is_refused_with_a_code() {
    let (one, two) = (Keys::generate(), Keys::generate());
    let peer = two.public_key();
    for scheme in [Scheme::Nip04, Scheme::Nip44] {
        let sealed = run(&one, &peer, Direction::Encrypt, scheme, "text").unwrap();
        let stranger = Keys::generate();
        let mut changed = sealed.clone().into_bytes();
        changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        if scheme == Scheme::Nip44 {
            let read = run(&stranger, &peer, Direction::Decrypt, scheme, &sealed).unwrap_err();
            assert_eq!(read.code.as_str(), "cipher-undecryptable");
            let read = run(&one, &peer, Direction::Decrypt, scheme, &changed).unwrap_err();
            assert_eq!(read.code.as_str(), "cipher-undecryptable");
        }
        for (text, code) in [("", "cipher-empty"), ("garbage", "cipher-undecryptable")] {
            let read = run(&one, &peer, Direction::Decrypt, scheme, text).unwrap_err();
            assert_eq!(read.code.as_str(), code);
        }
        let long = "x".repeat(MAX_PLAINTEXT + 1);
        let written = run(&one, &peer, Direction::Encrypt, scheme, &long).unwrap_err();
        assert_eq!(written.code.as_str(), "cipher-too-long");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_text_reads_back(text in ".{1,500}") {
        let (one, two) = (Keys::generate(), Keys::generate());
        for scheme in [Scheme::Nip04, Scheme::Nip44] {
            let sealed = run(&one, &two.public_key(), Direction::Encrypt, scheme, &text).unwrap();
            let read = run(&two, &one.public_key(), Direction::Decrypt, scheme, &sealed).unwrap();
            prop_assert_eq!(&read, &text);
        }
    }

    #[test]
    fn decrypting_never_panics(text in ".{0,300}") {
        let keys = Keys::generate();
        for scheme in [Scheme::Nip04, Scheme::Nip44] {
            let _ = run(&keys, &keys.public_key(), Direction::Decrypt, scheme, &text);
        }
    }
}
