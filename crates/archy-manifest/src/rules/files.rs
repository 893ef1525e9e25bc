//! Files that are written before the containers are created.

use super::Rules;
use super::nested::{Kind, Placed};
use super::templates::Use;
use crate::check::shorten;
use crate::model::FileTemplate;
use crate::path::Path;
use crate::template::Placeholder;

impl Rules<'_, '_, '_> {
    /// Collects the files of the app and of its containers.
    pub(super) fn declare_files(&mut self) {
        let app = self.app;
        let mut all: Vec<_> = (app.files.iter().enumerate())
            .map(|(index, file)| (self.root.key("files").index(index), file))
            .collect();
        for service in &self.services {
            let base = service.path.key("generated_files");
            let files = service.container.generated_files.iter().enumerate();
            all.extend(files.map(|(index, file)| (base.index(index), file)));
        }
        for (path, file) in all {
            let content = self.template(&file.content, &path.key("content"), Use::File);
            let mode = file.mode.as_deref().and_then(|text| self.mode(text, &path.key("mode")));
            let Some(name) = self.data_file(&file.path, &path.key("path")) else { continue };
            if self.files.iter().any(|known| known.path == name) {
                let message = format!("the file `{}` is written twice", shorten(&name));
                self.error("duplicate-file", &path.key("path"), message, "keep one of the two");
                continue;
            }
            let at = path.key("path");
            self.placed.push(Placed { at, data: name.clone(), kind: Kind::Written });
            let secret = content.placeholders().any(|placeholder| self.holds_secret(placeholder));
            let usual = if secret { 0o600 } else { 0o644 };
            let mode = mode.unwrap_or(usual);
            self.files.push(FileTemplate { path: name, content, overwrite: file.overwrite, mode });
        }
    }

    fn holds_secret(&self, placeholder: &Placeholder) -> bool {
        use crate::schema::SettingType;
        match placeholder {
            Placeholder::Secret(_) => true,
            Placeholder::Config(key) => {
                self.app.config.get(key).is_some_and(|s| s.kind == Some(SettingType::Secret))
            }
            _ => false,
        }
    }

    /// An octal mode.
    pub(super) fn mode(&mut self, text: &str, path: &Path) -> Option<u32> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o1777);
        if mode.is_none() || digits.starts_with('+') {
            let message = format!("`{}` is not an octal mode", shorten(text));
            self.error("invalid-mode", path, message, "write it like 0644 or 1777");
            return None;
        }
        mode
    }
}
