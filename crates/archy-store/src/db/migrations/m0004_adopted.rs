//! Version 4: what an app took over that Archipelago did not make (adopted).

/// `adopted` is JSON; without it an app is wholly Archipelago's.
pub(super) const SQL: &str = "
ALTER TABLE apps ADD COLUMN adopted TEXT;
ALTER TABLE previous ADD COLUMN adopted TEXT;
";
