//! How well an app matches the words of a search.

use archy_manifest::Manifest;
use serde_json::Value;

/// The sum of the best match of each word; nothing when a word matches nowhere.
pub(crate) fn score(manifest: &Manifest, words: &[String]) -> Option<u32> {
    words.iter().map(|word| of_word(manifest, word)).sum()
}

fn of_word(manifest: &Manifest, word: &str) -> Option<u32> {
    let id = manifest.id.as_str();
    let name = manifest.name.to_lowercase();
    if id == word || name == word {
        return Some(100);
    }
    if id.starts_with(word) || name.starts_with(word) {
        return Some(50);
    }
    if starts_a_word(&name, word) || starts_a_word(id, word) {
        return Some(40);
    }
    let has = |text: &str| text.to_lowercase().contains(word);
    if manifest.provides.iter().any(|role| has(&role.role)) {
        return Some(30);
    }
    if has(&name) || has(id) {
        return Some(20);
    }
    let in_metadata = |key: &str| match manifest.metadata.get(key) {
        Some(Value::String(text)) => has(text),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).any(has),
        _ => false,
    };
    if manifest.category.as_deref().is_some_and(has) || in_metadata("tags") {
        return Some(15);
    }
    if in_metadata("author") {
        return Some(10);
    }
    has(&manifest.description).then_some(5)
}

fn starts_a_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|it| it.starts_with(word))
}
