//! Colours by meaning (ECMA-48, "Select Graphic Rendition").

/// What a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Well.
    Good,
    /// Look at it.
    Warn,
    /// Broken.
    Bad,
    /// Stands out.
    Accent,
    /// Heading.
    Strong,
    /// Less important.
    Faint,
}

/// Paints, or does not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// With or without colours.
    pub(crate) const fn new(on: bool) -> Self {
        Self { on }
    }

    /// The text in a style.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let code = match style {
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
            Style::Accent => "36",
            Style::Strong => "1",
            Style::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
