//! The words, and the keys that derive from them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Entropy, words and seed (passphrase `TREZOR`) of BIP-39's own test vectors, those of 256 bits.
const BIP39: &[(&str, &str)] = &[
    (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art",
    ),
    (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth title",
    ),
    (
        "8080808080808080808080808080808080808080808080808080808080808080",
        "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic bless",
    ),
    (
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
    ),
    (
        "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
        "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis maple dilemma loan word shrug inflict delay length",
    ),
    (
        "9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863",
        "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash devote level hobby quick inner drive ghost inside",
    ),
    (
        "066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad",
        "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior mass reopen famous sing advance salt reform",
    ),
    (
        "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold",
    ),
];

/// The second test vector of NIP-06.
const NIP06: &str = "what bleak badge arrange retreat wolf trade produce cricket blur garlic valid proud rude strong choose busy staff weather area salt hollow arm fade";

#[test]
fn bip39_vectors() {
    for (entropy, words) in BIP39 {
        let bytes: [u8; 32] = hex::decode(entropy).unwrap().try_into().unwrap();
        let seed = Seed::from_entropy(&bytes).unwrap();
        assert_eq!(seed.phrase().as_str(), *words);
        let read = Seed::parse(words).unwrap();
        assert_eq!(hex::encode(read.entropy()), *entropy);
        assert_eq!(read, seed);
    }
    // the 64 bytes, with the vectors' own passphrase
    let seed = Seed::parse(BIP39[0].1).unwrap();
    assert_eq!(
        hex::encode(seed.0.to_seed_normalized("TREZOR")),
        "bda85446c68413707090a52022edd26a1c9462295029f2e60cd7c4f2bbd3097170af7a4d73245cafa9c3cca8d561a7c3de6f5d4a10be8ed2a5e608d68f92fcc8"
    );
}

#[test]
fn nip06_vector() {
    let key = Seed::parse(NIP06).unwrap().identity_key(0).unwrap();
    assert_eq!(
        key.nostr.secret_key().to_secret_hex(),
        "c15d739894c81a2fcfd3a2df85a0d2c0dbc47a280d092799f144d73d7ae78add"
    );
    assert_eq!(
        key.nostr.public_key().to_hex(),
        "d41b22899549e1f3d335a31002cfd382174006e166d3e658e3a5eecdb6463573"
    );
}

#[test]
fn each_key_is_of_its_own() {
    let seed = Seed::parse(NIP06).unwrap();
    let mut seen = BTreeSet::new();
    let mut add = |bytes: &[u8]| assert!(seen.insert(bytes.to_vec()));
    add(seed.node_key().unwrap().expose());
    add(seed.node_nostr_key().unwrap().secret_key().as_secret_bytes());
    add(seed.backup_key().unwrap().expose());
    for index in [0, 1, 2, 11, 111, MAX_INDEX] {
        let key = seed.identity_key(index).unwrap();
        add(key.nostr.secret_key().as_secret_bytes());
        add(key.did.expose());
        let again = seed.identity_key(index).unwrap();
        assert_eq!(again.did.expose(), key.did.expose());
        assert_eq!(again.nostr.public_key(), key.nostr.public_key());
    }
    let error = seed.identity_key(MAX_INDEX + 1).unwrap_err();
    assert_eq!(error.code(), "seed-index-invalid");
}

/// Labels are final: this fails when one is changed.
#[test]
fn derived_keys_stay_what_they_are() {
    let seed = Seed::parse(NIP06).unwrap();
    let found = format!(
        "{}\n{}\n{}\n{}",
        seed.node_key().unwrap().public(),
        seed.node_nostr_key().unwrap().public_key().to_hex(),
        hex::encode(seed.backup_key().unwrap().expose()),
        seed.identity_key(3).unwrap().did.public(),
    );
    assert_eq!(found, include_str!("derived.txt").trim_end());
}

#[test]
fn people_write_seeds_in_many_ways() {
    let seed = Seed::parse(NIP06).unwrap();
    let numbered: Vec<String> =
        seed.words().iter().enumerate().map(|(at, word)| format!("{}. {word}", at + 1)).collect();
    let cut: Vec<String> = seed.words().iter().map(|word| word.chars().take(4).collect()).collect();
    for text in [
        NIP06.to_uppercase(),
        format!("  {}\n", NIP06.replace(' ', "\n\t")),
        numbered.join("\n"),
        cut.join(" "),
        NIP06.replace(' ', ", "),
    ] {
        assert_eq!(Seed::parse(&text).unwrap(), seed, "{text}");
    }
}

#[test]
fn wrong_seeds_say_where_but_never_which_word() {
    let swapped = NIP06.replacen("what bleak", "bleak what", 1);
    for (text, code) in [
        (String::new(), "seed-word-count"),
        ("zoo ".repeat(12), "seed-word-count"),
        ("zoo ".repeat(25), "seed-word-count"),
        ("zoo ".repeat(100_000), "seed-word-count"),
        (NIP06.replace("cricket", "crickets"), "seed-word-unknown"),
        (NIP06.replace("cricket", "cri"), "seed-word-unknown"),
        (NIP06.replace("cricket", "grüße"), "seed-word-unknown"),
        (swapped, "seed-checksum"),
    ] {
        let error = Seed::parse(&text).unwrap_err();
        assert_eq!(error.code(), code);
        let error = UserError::from(error);
        assert!(error.hint.is_some());
        assert!(!error.message.contains("cri"), "{}", error.message);
    }
    let error = Seed::parse(&NIP06.replace("cricket", "crickets")).unwrap_err();
    assert_eq!(error, SeedError::Word(9));
}

#[test]
fn words_can_be_checked_one_by_one() {
    let seed = Seed::parse(NIP06).unwrap();
    assert!(seed.has_word(1, " What"));
    assert!(seed.has_word(24, "fade"));
    for (position, word) in [(0, "what"), (2, "what"), (25, "fade"), (1, ""), (1, "nonsense")] {
        assert!(!seed.has_word(position, word), "{position} {word}");
    }
}

#[test]
fn nothing_secret_prints() {
    let seed = Seed::parse(NIP06).unwrap();
    let key = seed.identity_key(0).unwrap();
    let text = format!("{seed:?} {key:?} {:?}", seed.backup_key().unwrap());
    assert_eq!(text, "Seed(…) IdentityKey { index: 0, .. } BackupKey(…)");
}

#[test]
fn new_seeds_differ() {
    let (one, two) = (Seed::generate().unwrap(), Seed::generate().unwrap());
    assert_ne!(one, two);
    assert_eq!(one.words().len(), WORDS);
    assert_eq!(Seed::parse(&one.phrase()).unwrap(), one);
}

proptest! {
    #[test]
    fn every_entropy_reads_back(entropy: [u8; 32]) {
        let seed = Seed::from_entropy(&entropy).unwrap();
        let read = Seed::parse(&seed.phrase()).unwrap().entropy();
        prop_assert_eq!(read.as_slice(), &entropy);
    }

    #[test]
    fn reading_never_panics(text in ".{0,400}") {
        let _ = Seed::parse(&text);
    }
}
