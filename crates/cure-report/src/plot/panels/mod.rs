//! Several pictures as one.

mod csv;
mod paste;

use super::sketch::{
    Area, ColourBar, Colours, Drawing, GAP, Letters, draw_bar_beneath, draw_title, fit_text,
    lying_bar_height, title_lines,
};
use super::{LABEL_SIZE, values::colours};
use crate::text::clean;
use crate::{Figure, ReportError};
use paste::{Pasted, paste_png, paste_svg, svg_size};

/// Largest side of the whole in pixels.
const LARGEST_SIDE: f64 = 8000.0;
/// Pixels of a panel's name.
const NAME: f64 = 1.6 * LABEL_SIZE as f64;

/// Figures side by side, each with a short name above it.
///
/// Draw the figures with the size they are to have: letters keep theirs.
///
/// ```
/// use cure_report::plot::{ContourPlot, Grid, PanelFigure};
/// let axis: Vec<f64> = (-5..=5).map(f64::from).collect();
/// let mut panels = PanelFigure::new("Loss", 2).colour_bar("loss", 0.0, 50.0);
/// for (name, bend) in [("before", 2.0), ("after", 0.1)] {
///     let grid = Grid::from_fn(axis.clone(), axis.clone(), |r, v| r * r + bend * v * v)?;
///     let plot = ContourPlot::new("", "r", "v", "loss").grid(grid).range(0.0, 50.0);
///     panels = panels.panel(name, plot.size(300.0, 280.0).without_colour_bar().draw()?);
/// }
/// let figure = panels.draw()?;
/// assert!(figure.csv().starts_with("panel,kind,name,x,y,value"));
/// # Ok::<(), cure_report::ReportError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PanelFigure {
    /// Drawn above the panels.
    pub title: String,
    /// Panels beside each other; at least one.
    pub columns: usize,
    /// Names and figures, row by row.
    pub panels: Vec<(String, Figure)>,
    /// Label and range of one colour bar for all, beneath them.
    pub colour_bar: Option<(String, (f64, f64))>,
    /// What the reader should see; captions of the panels follow it.
    pub caption: String,
}

impl PanelFigure {
    /// No panels yet.
    pub fn new(title: impl Into<String>, columns: usize) -> Self {
        Self { title: title.into(), columns, ..Self::default() }
    }

    /// Adds a figure. Its own title, if it has one, stays in it.
    pub fn panel(mut self, name: impl Into<String>, figure: Figure) -> Self {
        self.panels.push((name.into(), figure));
        self
    }

    /// Draws one colour bar beneath the panels, which must have been given the
    /// same range.
    pub fn colour_bar(mut self, label: impl Into<String>, low: f64, high: f64) -> Self {
        self.colour_bar = Some((label.into(), (low, high)));
        self
    }

    /// Says what the reader should see.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Puts the figures together.
    ///
    /// # Errors
    /// [`ReportError::GridSize`] when the whole would be larger than 8000 pixels
    /// on a side, [`ReportError::Draw`] when a picture cannot be read or written.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let mut sizes = Vec::with_capacity(self.panels.len());
        for (_, figure) in &self.panels {
            sizes.push(svg_size(figure)?);
        }
        let most = |side: fn(&(f64, f64)) -> f64| sizes.iter().map(side).fold(0.0, f64::max);
        let (wide, high) = (most(|size| size.0), most(|size| size.1));
        let width = (columns as f64 * (wide + GAP) - GAP).max(300.0);
        let (title, title_height) = title_lines(&self.title, width);
        let named = self.panels.iter().any(|(name, _)| !name.trim().is_empty());
        let above = if named { NAME } else { 0.0 };
        let rows = self.panels.len().div_ceil(columns) as f64;
        let bar = self.bar();
        let beneath = if bar.is_some() { lying_bar_height() } else { 0.0 };
        let height = title_height + rows * (above + high + GAP) + beneath;
        let height = height.max(title_height + 60.0).ceil();
        if width > LARGEST_SIDE || height > LARGEST_SIDE {
            let (width, height) = (width as usize, height as usize);
            return Err(ReportError::GridSize { width, height, limit: LARGEST_SIDE as usize });
        }
        let mut drawing = Drawing::new(width, height);
        draw_title(&mut drawing, &title, width / 2.0);
        let mut pasted = Vec::with_capacity(self.panels.len());
        for (i, ((name, figure), size)) in self.panels.iter().zip(sizes).enumerate() {
            // A last row of fewer panels stands in the middle.
            let (row, column) = (i / columns, i % columns);
            let beside = (self.panels.len() - row * columns).min(columns) as f64;
            let first = (width - (beside * (wide + GAP) - GAP)) / 2.0;
            let left = first + column as f64 * (wide + GAP);
            let top = title_height + row as f64 * (above + high + GAP);
            let name = fit_text(&clean(name), LABEL_SIZE, wide);
            let baseline = top + 0.75 * NAME;
            drawing.text(left + wide / 2.0, baseline, &name, Letters::middle(LABEL_SIZE));
            let left = (left + (wide - size.0) / 2.0).round();
            pasted.push(Pasted { figure, left, top: (top + above).round() });
        }
        if self.panels.is_empty() {
            let place = (width / 2.0, title_height + 30.0);
            super::values::no_data(&mut drawing, place);
        }
        if let Some(bar) = &bar {
            let long = (0.6 * width).min(520.0).round();
            let top = (height - beneath).round();
            let left = ((width - long) / 2.0).round();
            draw_bar_beneath(&mut drawing, bar, Area { left, top, width: long, height: 16.0 });
        }
        let whole = drawing.finish(&self.title, self.full_caption(), self.alt(), self.csv())?;
        let png = paste_png(&whole, &pasted)?;
        let svg = paste_svg(&whole, &pasted);
        Ok(Figure { svg, png, ..whole })
    }

    fn bar(&self) -> Option<ColourBar<'_>> {
        let (label, range) = self.colour_bar.as_ref()?;
        let colours: Colours = colours(Some(*range), (0.0, 1.0));
        Some(ColourBar { colours, label, marks: &[] })
    }

    fn full_caption(&self) -> String {
        let mut caption = self.caption.clone();
        for (name, figure) in &self.panels {
            let own = figure.caption.trim();
            if !own.is_empty() {
                caption = crate::text::add_sentence(&caption, &format!("{name}: {own}"));
            }
        }
        caption
    }

    fn alt(&self) -> String {
        let panels: Vec<String> =
            self.panels.iter().map(|(name, figure)| format!("{name}: {}", figure.alt)).collect();
        let what = if panels.is_empty() { "no data".to_string() } else { panels.join(" ") };
        format!("Panels: {}. {what}", self.title)
    }

    /// The rows of all panels under all their columns, with the panel's name first.
    fn csv(&self) -> String {
        let named = self.panels.iter().map(|(name, figure)| (name.as_str(), figure.csv()));
        csv::stack("panel", named)
    }
}
