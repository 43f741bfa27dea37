//! Grouped bars: a few numbers before and after, side by side.

use kuva::plot::{BarPlot as KuvaBar, LegendEntry, LegendShape, LinePlot as KuvaLine};
use kuva::render::annotations::TextAnnotation;
use kuva::render::layout::{ComputedLayout, Layout};
use kuva::render::plots::Plot;
use kuva::render::render::{Primitive, Scene, TextAnchor, render_multiple};

use super::axis::{Axis, drawable};
use super::line::no_data;
use super::{Frame, Scale, TICK_SIZE, Unit, WIDTH, colour, left_out, legend_label, render};
use crate::text::{add_sentence, clean, csv_record, shorten, wrap};
use crate::{Figure, ReportError};

/// Up to this many bars each carries its value.
const VALUE_LIMIT: usize = 16;
/// Pixels of a value above its bar.
const VALUE_SIZE: u32 = 14;
/// Width of the data area in pixels, roughly.
const DATA_WIDTH: f64 = WIDTH - 110.0;
/// Distance between the lines of a name in pixels.
const NAME_LINE: f64 = 19.0;
/// Most lines of a name.
const NAME_LINES: usize = 4;
/// Share of a group's slot that its bars fill.
const FILLED: f64 = 0.8;

/// The bars that stand together, one for each series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarGroup {
    /// Name beneath the bars.
    pub name: String,
    /// One value a series, in their order; fewer leave gaps.
    pub values: Vec<f64>,
    /// `(low, high)` around each value, as values on the y axis. Missing or NaN: none.
    pub error: Option<Vec<(f64, f64)>>,
}

impl BarGroup {
    /// A group without error bars.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Self { name: name.into(), values: values.into_iter().collect(), error: None }
    }

    /// Adds `(low, high)` for each value.
    pub fn with_error(mut self, bounds: impl IntoIterator<Item = (f64, f64)>) -> Self {
        self.error = Some(bounds.into_iter().collect());
        self
    }

    fn bounds(&self, index: usize) -> Option<(f64, f64)> {
        let &(low, high) = self.error.as_ref()?.get(index)?;
        (drawable(low, Scale::Linear) && drawable(high, Scale::Linear)).then_some((low, high))
    }
}

/// A chart of grouped bars that stand on zero.
///
/// ```
/// use cure_report::plot::{BarGroup, BarPlot};
/// let figure = BarPlot::new("Accuracy", "accuracy", ["before", "after"])
///     .group(BarGroup::new("clean", [0.917, 0.812]))
///     .group(BarGroup::new("PGD-20, 2/255", [0.004, 0.651]))
///     .percent()
///     .draw()?;
/// assert!(figure.csv().contains("clean,before,0.917"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarPlot {
    /// Drawn above the bars.
    pub title: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Names of the bars within a group, for the legend.
    pub series: Vec<String>,
    /// The groups, from left to right.
    pub groups: Vec<BarGroup>,
    /// How values are written.
    pub unit: Unit,
    /// Range of the y axis; from 0 and the data when absent or unusable.
    pub y_range: Option<(f64, f64)>,
    /// What the reader should see.
    pub caption: String,
}

impl BarPlot {
    /// An empty chart.
    pub fn new<S: Into<String>>(
        title: impl Into<String>,
        y_label: impl Into<String>,
        series: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            title: title.into(),
            y_label: y_label.into(),
            series: series.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds a group to the right.
    pub fn group(mut self, group: BarGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// Values are fractions of 1; they are written in percent, on an axis to 100 %.
    pub fn percent(mut self) -> Self {
        self.unit = Unit::Percent;
        self.y_range = Some((0.0, 1.0));
        self
    }

    /// Fixes the range of the y axis.
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y_range = Some((low, high));
        self
    }

    /// Says what the reader should see.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Draws the chart; no data at all still gives a (marked) figure.
    ///
    /// # Errors
    /// [`ReportError::Draw`] when the PNG cannot be encoded.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let y = self.y_axis();
        let legend = self.series.iter().enumerate().map(|(i, name)| LegendEntry {
            label: legend_label(name),
            color: colour(i).to_string(),
            shape: LegendShape::Rect,
            dasharray: None,
        });
        let frame = Frame {
            title: &self.title,
            x_label: "",
            y_label: &self.y_label,
            legend: legend.filter(|e| !e.label.trim().is_empty()).collect(),
        };
        let slots = self.groups.len().max(1) as f64;
        let x_range = (0.5, slots + 0.5);
        let mut layout = frame.layout(x_range, &y);
        if self.values().next().is_none() {
            let x = Axis::fit([0.5, slots + 0.5].into_iter(), Scale::Linear, Unit::Number, None);
            layout = layout.with_annotation(no_data(&x, &y));
        }
        for annotation in self.value_labels(&y) {
            layout = layout.with_annotation(annotation);
        }
        // kuva draws axes only when there is something to draw.
        let mut plots = vec![Plot::Bar(self.bars()), Plot::Line(KuvaLine::new())];
        plots.extend(self.whiskers(&y));
        let names = Names::fit(&self.groups);
        let layout = names.make_room(layout);
        let computed = ComputedLayout::from_layout(&layout);
        let mut scene = render_multiple(plots, layout);
        names.draw(&mut scene, &computed);
        render(&scene, &self.title, self.full_caption(), self.alt(), self.csv())
    }

    /// Every number that can be drawn.
    fn values(&self) -> impl Iterator<Item = f64> {
        let all = self.groups.iter().flat_map(|g| g.values.iter().copied());
        all.filter(|&v| drawable(v, Scale::Linear))
    }

    fn y_axis(&self) -> Axis {
        let bounds = self.groups.iter().flat_map(|g| {
            (0..g.values.len()).filter_map(|i| g.bounds(i)).flat_map(|(low, high)| [low, high])
        });
        // Bars show their value by their length, so zero belongs on the axis.
        let shown = self.values().chain(bounds).chain([0.0]);
        let mut axis = Axis::fit(shown, Scale::Linear, self.unit, self.y_range);
        if self.y_range.is_none_or(|(low, _)| low >= 0.0) && self.values().all(|v| v >= 0.0) {
            axis.range.0 = axis.range.0.max(0.0);
        }
        // Room for the values above the bars.
        axis.range.1 += 0.06 * (axis.range.1 - axis.range.0);
        axis
    }

    /// Number of bars in a group's slot.
    fn width(&self) -> usize {
        let longest = self.groups.iter().map(|g| g.values.len()).max().unwrap_or(0);
        longest.max(self.series.len())
    }

    /// Middle of a bar on the x axis of categories, whose slots are 1 wide.
    fn middle(&self, slot: usize, bar: usize) -> f64 {
        let bars = self.width().max(1) as f64;
        slot as f64 + 1.0 + FILLED * ((bar as f64 + 0.5) / bars - 0.5)
    }

    fn bars(&self) -> KuvaBar {
        let mut bars = KuvaBar::new().with_width(FILLED);
        for group in &self.groups {
            let drawn = (0..self.width()).map(|i| {
                let value = group.values.get(i).copied().filter(|&v| drawable(v, Scale::Linear));
                // A gap is a bar of no height.
                (value.unwrap_or(0.0), colour(i))
            });
            bars = bars.with_group(group.name.clone(), drawn);
        }
        bars
    }

    /// Error bars, as lines of one point: kuva's own would mark missing ones too.
    fn whiskers(&self, y: &Axis) -> Vec<Plot> {
        let mut whiskers = Vec::new();
        for (slot, group) in self.groups.iter().enumerate() {
            for (i, &value) in group.values.iter().enumerate() {
                let Some((low, high)) = group.bounds(i).filter(|_| drawable(value, Scale::Linear))
                else {
                    continue;
                };
                let (low, high) = (y.place_within(low), y.place_within(high));
                let arms = ((value - low).max(0.0), (high - value).max(0.0));
                whiskers.push(Plot::Line(
                    KuvaLine::new()
                        .with_data([(self.middle(slot, i), value)])
                        .with_y_err_asymmetric([arms])
                        .with_color("#1a1a1a"),
                ));
            }
        }
        whiskers
    }

    /// The value above each bar, where there is room.
    fn value_labels(&self, y: &Axis) -> Vec<TextAnnotation> {
        let width = self.width();
        if width == 0 || self.groups.len() * width > VALUE_LIMIT {
            return Vec::new();
        }
        let mut labels = Vec::new();
        for (slot, group) in self.groups.iter().enumerate() {
            for (i, &value) in group.values.iter().enumerate() {
                if !drawable(value, Scale::Linear) {
                    continue;
                }
                let x = self.middle(slot, i);
                let top = group.bounds(i).map_or(value, |(_, high)| high.max(value)).max(0.0);
                let label = TextAnnotation::new(self.write(value), x, y.place_within(top));
                labels.push(label.with_font_size(VALUE_SIZE).with_color("#1a1a1a"));
            }
        }
        labels
    }

    fn write(&self, value: f64) -> String {
        match self.unit {
            Unit::Percent => format!("{:.1}", 100.0 * value),
            Unit::Number if value != 0.0 && !(1e-2..1e5).contains(&value.abs()) => {
                format!("{value:.1e}")
            }
            Unit::Number => {
                let text = format!("{value:.2}");
                text.trim_end_matches('0').trim_end_matches('.').to_string()
            }
        }
    }

    fn full_caption(&self) -> String {
        let all: usize = self.groups.iter().map(|g| g.values.len()).sum();
        match left_out(all - self.values().count(), "value", false) {
            Some(remark) => add_sentence(&self.caption, &remark),
            None => self.caption.clone(),
        }
    }

    fn alt(&self) -> String {
        let groups: Vec<String> = self
            .groups
            .iter()
            .map(|g| {
                let values: Vec<String> = g.values.iter().map(|&v| self.write(v)).collect();
                format!("{}: {}", g.name, values.join(", "))
            })
            .collect();
        let unit = if self.unit == Unit::Percent { " in percent" } else { "" };
        format!(
            "Bar chart: {}. {}{unit} for {}. {}.",
            self.title,
            self.y_label,
            self.series.join(", "),
            groups.join("; ")
        )
    }

    /// `group,series,value,low,high`, one row a bar, with every digit.
    fn csv(&self) -> String {
        let mut csv = csv_record(["group", "series", "value", "low", "high"]);
        for group in &self.groups {
            for (i, value) in group.values.iter().enumerate() {
                let series = self.series.get(i).map_or("", String::as_str);
                let (low, high) = match group.error.as_ref().and_then(|e| e.get(i)) {
                    Some((low, high)) => (low.to_string(), high.to_string()),
                    None => (String::new(), String::new()),
                };
                csv += &csv_record([&group.name, series, &value.to_string(), &low, &high]);
            }
        }
        csv
    }
}

/// The names beneath the groups, on several lines where they are long: kuva
/// could only turn them.
struct Names {
    lines: Vec<Vec<String>>,
    size: u32,
}

impl Names {
    fn fit(groups: &[BarGroup]) -> Self {
        let slot = DATA_WIDTH / groups.len().max(1) as f64;
        // The smallest size is used even where it does not fit either.
        let sizes = [TICK_SIZE, 14, 12];
        let limit = |size: u32| ((slot / (0.58 * f64::from(size))) as usize).max(3);
        let fits = |size: u32| {
            let words = groups.iter().flat_map(|g| g.name.split_whitespace());
            words.map(|w| w.chars().count()).max().unwrap_or(0) <= limit(size)
        };
        let size = sizes.into_iter().find(|&size| fits(size)).unwrap_or(12);
        let wrapped = |group: &BarGroup| {
            let mut lines = wrap(&clean(&group.name), limit(size));
            if lines.len() > NAME_LINES {
                let rest = lines.split_off(NAME_LINES - 1).join(" ");
                lines.push(rest);
            }
            lines.iter().map(|line| shorten(line, limit(size))).collect()
        };
        Self { lines: groups.iter().map(wrapped).collect(), size }
    }

    /// The space of kuva's own names and label of the axis holds two lines.
    fn make_room(&self, layout: Layout) -> Layout {
        let lines = self.lines.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let more = NAME_LINE * (lines as f64 - 2.0);
        let computed = ComputedLayout::from_layout(&layout);
        let height = computed.height + more;
        layout
            .with_height(height)
            .with_force_margins_y(computed.margin_top, computed.margin_bottom + more)
            .with_x_categories(self.lines.iter().map(|_| String::new()).collect())
    }

    fn draw(&self, scene: &mut Scene, computed: &ComputedLayout) {
        let top = computed.height - computed.margin_bottom + 24.0;
        for (slot, lines) in self.lines.iter().enumerate() {
            for (i, line) in lines.iter().enumerate() {
                scene.add(Primitive::Text {
                    x: computed.map_x(slot as f64 + 1.0),
                    y: top + NAME_LINE * i as f64,
                    content: line.clone(),
                    size: self.size,
                    anchor: TextAnchor::Middle,
                    rotate: None,
                    bold: false,
                    color: None,
                });
            }
        }
    }
}
