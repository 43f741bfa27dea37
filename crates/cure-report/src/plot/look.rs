//! How the curves of a plot are told from one another.

use kuva::plot::{LegendEntry, LegendShape, MarkerShape};

use super::{PALETTE, colour, legend_label};

/// Up to this many points a series has a marker and an error bar at each;
/// beyond it a few markers along the line and a shaded band, which do not clutter.
const MARKER_LIMIT: usize = 24;
/// Markers along a series of more points.
const SPARSE_MARKERS: usize = 8;

const MARKERS: [MarkerShape; 7] = [
    MarkerShape::Circle,
    MarkerShape::Square,
    MarkerShape::Triangle,
    MarkerShape::Diamond,
    MarkerShape::TriangleDown,
    MarkerShape::Pentagon,
    MarkerShape::Star,
];

/// How one series is told from the others: by colour and, for those who do not
/// see it, by marker. (Not by dashes: kuva's PNG begins them anew at each point.)
pub(super) struct Look {
    pub(super) colour: &'static str,
    pub(super) marker: MarkerShape,
    /// Distance between markers, in points.
    pub(super) every: usize,
    /// First marked point: overlapping curves are not marked at the same place.
    offset: usize,
}

impl Look {
    pub(super) fn new(index: usize, points: usize) -> Self {
        let every = if points <= MARKER_LIMIT { 1 } else { points / SPARSE_MARKERS };
        Self {
            colour: colour(index),
            // The second round of colours meets other markers than the first.
            marker: MARKERS[(index + index / PALETTE.len()) % MARKERS.len()],
            every,
            offset: every * (2 * index + 1) / 7 % every,
        }
    }

    pub(super) fn marks(&self, index: usize) -> bool {
        index % self.every == self.offset
    }

    pub(super) fn legend(&self, name: &str) -> LegendEntry {
        LegendEntry {
            label: legend_label(name),
            color: self.colour.to_string(),
            shape: LegendShape::Marker(self.marker),
            dasharray: None,
        }
    }
}
