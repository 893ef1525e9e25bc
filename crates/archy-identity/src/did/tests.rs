//! `did:key` there and back.

use proptest::prelude::*;

use super::*;

fn key(byte: u8) -> DidKey {
    DidKey::from_seed(Zeroizing::new([byte; 32])).unwrap()
}

#[test]
fn a_known_key_has_its_known_did() {
    // the first test vector of RFC 8032, section 7.1
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let seed: [u8; 32] = hex::decode(seed).unwrap().try_into().unwrap();
    let key = DidKey::from_seed(Zeroizing::new(seed)).unwrap();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(key.public().hex(), public);
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155\
                     5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(hex::encode(key.sign(b"")), signature);
    // the first example of the did:key specification
    let did = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
    assert_eq!(DidPublicKey::parse(did).unwrap().to_string(), did);
}

#[test]
fn a_signature_holds_for_one_message_and_one_key() {
    let (key, other) = (key(1), key(2));
    let signature = key.sign(b"message");
    assert!(key.public().verifies(b"message", &signature));
    assert!(!key.public().verifies(b"Message", &signature));
    assert!(!other.public().verifies(b"message", &signature));
    assert!(!key.public().verifies(b"message", &signature[..63]));
}

#[test]
fn the_secret_does_not_print() {
    let key = key(0xab);
    assert!(!format!("{key:?}").contains("abab"), "{key:?}");
    assert!(format!("{key:?}").contains("did:key:z6Mk"));
}

#[test]
fn other_texts_are_no_dids() {
    for text in ["", "did:key:", "did:key:z", "did:key:z6Mk", "did:web:node.local", "did:key:z0OIl"]
    {
        assert_eq!(DidPublicKey::parse(text).unwrap_err().code.as_str(), "did-invalid", "{text}");
    }
    assert!(DidPublicKey::parse(&format!("did:key:z{}", "2".repeat(100_000))).is_err());
}

proptest! {
    #[test]
    fn dids_read_back(bytes: [u8; 32]) {
        let key = DidPublicKey::new(bytes);
        prop_assert_eq!(DidPublicKey::parse(&key.to_string()).unwrap(), key);
    }

    #[test]
    fn base58_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        prop_assert_eq!(base58_decode(&base58_encode(&bytes)), Some(bytes));
    }

    #[test]
    fn reading_never_panics(text in ".{0,150}") {
        let _ = DidPublicKey::parse(&text);
    }
}
