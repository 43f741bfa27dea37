//! A curve of a plot.

/// One named curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Name in the legend; empty for none.
    pub name: String,
    /// `(x, y)` in drawing order. A point that is not finite interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// `(low, high)` around each y, as values on the y axis (not half-widths),
    /// such as the ends of a confidence interval. Missing or NaN: none.
    pub error: Option<Vec<(f64, f64)>>,
    /// Whether `error` is a shaded band however few points there are; otherwise
    /// series of a few points have bars.
    pub shaded: bool,
    /// The index of a point that has a larger marker.
    pub mark: Option<usize>,
}

impl Series {
    /// A curve without error bars.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect(), ..Self::default() }
    }

    /// Adds `(low, high)` for each point, as values on the y axis.
    pub fn with_error(mut self, bounds: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.error = Some(bounds.into_iter().collect());
        self
    }

    /// Adds a shaded band between `(low, high)` at each point, as values on the y axis.
    pub fn with_band(mut self, bounds: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.shaded = true;
        self.with_error(bounds)
    }

    /// Draws the point at `index` with a larger marker.
    pub fn with_mark(mut self, index: Option<usize>) -> Self {
        self.mark = index;
        self
    }

    pub(super) fn bounds(&self, index: usize) -> Option<(f64, f64)> {
        let &(low, high) = self.error.as_ref()?.get(index)?;
        (low.is_finite() && high.is_finite()).then_some((low, high))
    }
}
