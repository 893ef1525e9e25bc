//! Aligned columns without lines around them.

use super::{Paint, Style};

/// A table; an empty one prints nothing.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<(String, Option<Style>)>>,
}

impl Table {
    /// With the columns' titles.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|title| (*title).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row of texts with styles.
    pub(crate) fn row(&mut self, cells: Vec<(String, Option<Style>)>) {
        self.rows.push(cells);
    }

    /// The text, a newline at the end of each row.
    pub(crate) fn render(&self, paint: &Paint) -> String {
        let columns = self.head.len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let cells = cells.map(|(text, _)| text.chars().count());
            cells.chain(self.head.get(column).map(|title| title.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let head: Vec<_> =
            self.head.iter().map(|title| (title.clone(), Some(Style::Strong))).collect();
        let mut out = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut pad = 0;
            for (column, (text, style)) in row.iter().enumerate() {
                out.push_str(&" ".repeat(pad));
                out.push_str(&style.map_or_else(|| text.clone(), |style| paint.paint(style, text)));
                let wide = widths.get(column).copied().unwrap_or(0);
                pad = wide.saturating_sub(text.chars().count()) + 2;
            }
            out.push('\n');
        }
        out
    }
}
