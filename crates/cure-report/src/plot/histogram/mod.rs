//! How often which values occur.

mod bins;

use super::axis::drawable;
use super::size::{PLANE_SIZE, drawn_size};
use super::sketch::{Drawing, Entry, GAP, INK, Legend, Plane, PlaneFrame, Symbol};
use super::values::no_data;
use super::{Scale, Unit, colour, left_out};
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};
use bins::Bins;

/// Dashes that tell guide lines apart.
const DASHES: [&[f64]; 4] = [&[9.0, 5.0], &[2.5, 3.5], &[14.0, 4.0, 3.0, 4.0], &[5.0, 3.0]];

/// Named samples over shared bins, each as a share of its sample.
///
/// ```
/// use cure_report::plot::HistogramPlot;
/// let figure = HistogramPlot::new("Cosine of r and the gradient", "cosine")
///     .sample("before", [0.02, 0.05, 0.04, 0.11])
///     .sample("after", [0.21, 0.34, 0.29])
///     .guide("1/√d of chance", 1.0 / 3072f64.sqrt())
///     .draw()?;
/// assert!(figure.csv().contains("sample,after,0.34"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistogramPlot {
    /// Drawn above the data.
    pub title: String,
    /// Label of the x axis, with its unit.
    pub x_label: String,
    /// Names and values, in the order of the legend.
    pub samples: Vec<(String, Vec<f64>)>,
    /// Names and places of vertical lines.
    pub guides: Vec<(String, f64)>,
    /// Ends and number of the bins; round ones from the data when absent or unusable.
    pub bins: Option<(f64, f64, usize)>,
    /// Whether bars are numbers of values; otherwise they are shares of the sample.
    pub has_counts: bool,
    /// What the reader should see.
    pub caption: String,
}

impl HistogramPlot {
    /// An empty plot.
    pub fn new(title: impl Into<String>, x_label: impl Into<String>) -> Self {
        Self { title: title.into(), x_label: x_label.into(), ..Self::default() }
    }

    /// Adds a sample.
    pub fn sample(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        self.samples.push((name.into(), values.into_iter().collect()));
        self
    }

    /// Draws a vertical line at a value.
    pub fn guide(mut self, name: impl Into<String>, at: f64) -> Self {
        self.guides.push((name.into(), at));
        self
    }

    /// Fixes the bins: `count` (1 to 1000) of equal width from `low` to `high`.
    pub fn bins(mut self, low: f64, high: f64, count: usize) -> Self {
        self.bins = Some((low, high, count));
        self
    }

    /// Shows numbers of values in place of shares of the samples.
    pub fn counts(mut self) -> Self {
        self.has_counts = true;
        self
    }

    /// Says what the reader should see.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Draws the plot; no data at all still gives a (marked) figure.
    ///
    /// # Errors
    /// [`ReportError::Draw`] when the PNG cannot be encoded.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let bins = Bins::fit(self.bins, self.values());
        let heights: Vec<Vec<f64>> = self
            .samples
            .iter()
            .map(|(_, values)| {
                let counts = bins.fill(values);
                let drawn = values.iter().filter(|&&v| drawable(v, Scale::Linear)).count();
                let unit = if self.has_counts { 1.0 } else { drawn.max(1) as f64 };
                counts.into_iter().map(|count| count as f64 / unit).collect()
            })
            .collect();
        let highest = heights.iter().flatten().fold(0.0, |a: f64, &b| a.max(b));
        let top = if highest > 0.0 { 1.06 * highest } else { 1.0 };
        let x = self.x_range(&bins);
        let shown: Vec<(&str, f64, &'static [f64])> = self
            .guides
            .iter()
            .enumerate()
            .map(|(i, (name, at))| (name.as_str(), *at, DASHES[i % DASHES.len()]))
            .filter(|(_, at, _)| (x.0..=x.1).contains(at))
            .collect();
        let size = drawn_size((PLANE_SIZE.0, 440.0));
        let (y_label, y_unit) = if self.has_counts {
            ("number of values", Unit::Number)
        } else {
            ("share of the sample", Unit::Percent)
        };
        let frame = PlaneFrame {
            title: &self.title,
            x_label: &self.x_label,
            y_label,
            x,
            y: (0.0, top),
            y_unit,
            size,
            equal: false,
            bar: None,
            legend: Legend::new(self.entries(&shown), size.0 - 2.0 * GAP),
        };
        let (mut drawing, plane) = frame.begin();
        plane.grid(&mut drawing);
        for (index, heights) in heights.iter().enumerate() {
            draw_bars(&mut drawing, &plane, &bins, heights, colour(index));
        }
        for (_, at, dashes) in &shown {
            let (from, to) = (plane.place(*at, 0.0), plane.place(*at, top));
            drawing.line(from, to, INK, 1.8, dashes);
        }
        frame.end(&mut drawing, &plane);
        if self.values().next().is_none() {
            no_data(&mut drawing, plane.area.middle());
        }
        drawing.finish(
            &self.title,
            self.full_caption(&bins, self.guides.len() - shown.len()),
            self.alt(),
            self.csv(),
        )
    }

    fn entries(&self, guides: &[(&str, f64, &'static [f64])]) -> Vec<Entry> {
        let samples = self.samples.iter().enumerate().map(|(i, (name, _))| Entry {
            symbol: Symbol::Swatch(colour(i).to_string()),
            name: name.clone(),
        });
        let guides = guides.iter().map(|&(name, _, dashes)| Entry {
            symbol: Symbol::Line { colour: INK.to_string(), dashes },
            name: name.to_string(),
        });
        samples.chain(guides).collect()
    }

    /// Ends of the x axis: of the bins and, unless these are fixed, of the guide lines.
    fn x_range(&self, bins: &Bins) -> (f64, f64) {
        let (mut low, mut high) = (bins.low, bins.high);
        if self.bins.is_none() {
            for (_, at) in self.guides.iter().filter(|(_, at)| drawable(*at, Scale::Linear)) {
                (low, high) = (low.min(*at), high.max(*at));
            }
        }
        // Lines on a limit would be lost in the frame.
        let margin = 0.02 * (high - low);
        (low - margin, high + margin)
    }

    /// Every value that can be drawn.
    fn values(&self) -> impl Iterator<Item = f64> {
        let all = self.samples.iter().flat_map(|(_, values)| values.iter().copied());
        all.filter(|&v| drawable(v, Scale::Linear))
    }

    fn full_caption(&self, bins: &Bins, hidden: usize) -> String {
        let all: usize = self.samples.iter().map(|(_, values)| values.len()).sum();
        let drawn = self.values().count();
        let outside = match self.values().filter(|&v| bins.index(v).is_none()).count() {
            0 => None,
            1 => Some("1 value lies outside the bins.".to_string()),
            n => Some(format!("{n} values lie outside the bins.")),
        };
        let lines = match hidden {
            0 => None,
            1 => Some("1 guide line is left out (not on the axis).".to_string()),
            n => Some(format!("{n} guide lines are left out (not on the axis).")),
        };
        let remarks = [outside, left_out(all - drawn, "value", false), lines];
        let remarks = remarks.into_iter().flatten();
        remarks.fold(self.caption.clone(), |caption, remark| add_sentence(&caption, &remark))
    }

    fn alt(&self) -> String {
        let samples: Vec<String> =
            self.samples.iter().map(|(name, v)| format!("{name} ({} values)", v.len())).collect();
        let what = if samples.is_empty() { "no data".to_string() } else { samples.join(", ") };
        let guides: Vec<String> =
            self.guides.iter().map(|(name, at)| format!("{name} at {at}")).collect();
        let guides = if guides.is_empty() {
            String::new()
        } else {
            format!(" Guide lines: {}.", guides.join(", "))
        };
        format!("Histogram: {}. {}. Samples: {what}.{guides}", self.title, self.x_label)
    }

    /// `kind,name,value`, one row a value and a guide line, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["kind", "name", "value"]);
        for (name, values) in &self.samples {
            for value in values {
                csv += &csv_record(["sample", name.as_str(), &value.to_string()]);
            }
        }
        for (name, at) in &self.guides {
            csv += &csv_record(["guide", name.as_str(), &at.to_string()]);
        }
        csv
    }
}

/// Bars as one outline, so that samples behind one another can be told apart.
fn draw_bars(drawing: &mut Drawing, plane: &Plane, bins: &Bins, heights: &[f64], colour: &str) {
    let filled: Vec<usize> = (0..heights.len()).collect();
    // Without the empty bins: their outline would lie on the axis.
    for run in filled.split(|&index| heights[index] == 0.0) {
        let Some((&first, &last)) = run.first().zip(run.last()) else { continue };
        let mut outline = vec![plane.place(bins.edge(first), 0.0)];
        for &index in run {
            outline.push(plane.place(bins.edge(index), heights[index]));
            outline.push(plane.place(bins.edge(index + 1), heights[index]));
        }
        outline.push(plane.place(bins.edge(last + 1), 0.0));
        drawing.shade(&outline, colour, Some(0.25), None);
        drawing.polyline(&outline, colour, 2.2);
    }
}
