//! Figures of repeated runs: median, least, greatest.
use serde::{Deserialize, Serialize};

/// Figures of one thing that was measured several times.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Series(Vec<f64>);

impl Series {
    /// Notes one more figure.
    pub(super) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The one in the middle, or the mean of the two there; nought of none.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            even if even % 2 == 0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        }
    }

    /// The least; nought of none.
    pub(super) fn min(&self) -> f64 {
        self.0.iter().copied().reduce(f64::min).unwrap_or_default()
    }

    /// The greatest; nought of none.
    pub(super) fn max(&self) -> f64 {
        self.0.iter().copied().reduce(f64::max).unwrap_or_default()
    }

    /// Median with the least and the greatest, for the table; `unit` follows the median.
    pub(super) fn show(&self, unit: &str) -> String {
        let digits = usize::from(self.max() < 100.0) + usize::from(self.max() < 10.0);
        let (median, min, max) = (self.median(), self.min(), self.max());
        if self.len() == 1 {
            return format!("{median:.digits$} {unit}");
        }
        format!("{median:.digits$} {unit} ({min:.digits$}–{max:.digits$})")
    }
}

impl From<f64> for Series {
    fn from(figure: f64) -> Self {
        Self(vec![figure])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        for (figures, median) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0], 2.5)]
        {
            assert!((Series(figures.clone()).median() - median).abs() < 1e-9, "{figures:?}");
        }
    }

    #[test]
    fn figures_have_as_many_digits_as_matter() {
        assert_eq!(Series(vec![300.4, 250.6, 410.0]).show("ms"), "300 ms (251–410)");
        assert_eq!(Series(vec![1.234, 2.0, 1.1]).show("ms"), "1.23 ms (1.10–2.00)");
        assert_eq!(Series::from(41.26).show("MiB"), "41.3 MiB");
    }
}
