//! Rows of small images with captions, magnified so that pixels stay pixels.

mod adversarial;
mod layout;

pub use adversarial::{AdversarialExample, Prediction};

use std::fmt::Write;

use crate::figure::svg_opening;
use crate::image::{Image, encode_png};
use crate::text::{add_sentence, clean, csv_record, wrap, xml};
use crate::{Figure, ReportError};
use layout::Layout;

/// Side, in pixels, that images are magnified to when no factor is given.
const SHOWN_SIDE: usize = 112;
/// Largest accepted side of the grid in pixels.
const LARGEST_SIDE: usize = 16_384;
/// Pixels between cells of the PNG, and between everything in the SVG.
const GAP: usize = 8;
/// Font size of captions in pixels.
const FONT: f64 = 15.0;
const LINE: f64 = 20.0;
/// Width of an average character in ems, on the generous side.
const CHARACTER: f64 = 0.6;
/// Characters per line of a row's caption.
const ROW_WRAP: usize = 10;

/// One place in a grid: an image, lines of text beneath it, or both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridCell {
    /// The image, if any.
    pub image: Option<Image>,
    /// Lines of text.
    pub lines: Vec<String>,
}

/// One row of a grid.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridRow {
    /// Shown to the left.
    pub caption: String,
    /// From left to right.
    pub cells: Vec<GridCell>,
}

/// A grid of small images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImageGrid {
    /// Drawn above the images.
    pub title: String,
    /// Shown above the columns; fewer leave gaps.
    pub columns: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<GridRow>,
    /// Screen pixels an image pixel takes on a side; chosen from the largest
    /// image when absent.
    pub magnification: Option<usize>,
    /// What the reader should see.
    pub caption: String,
}

impl ImageGrid {
    /// An empty grid.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// Adds a row of images with one line of text beneath each.
    pub fn row(
        mut self,
        caption: impl Into<String>,
        images: impl IntoIterator<Item = (Image, String)>,
    ) -> Self {
        let cell = |(image, line): (Image, String)| GridCell {
            image: Some(image),
            lines: if line.is_empty() { Vec::new() } else { vec![line] },
        };
        let cells = images.into_iter().map(cell).collect();
        self.rows.push(GridRow { caption: caption.into(), cells });
        self
    }

    /// Says what the reader should see.
    pub fn caption(mut self, caption: impl Into<String>) -> Self {
        self.caption = caption.into();
        self
    }

    /// Fixes the magnification (nearest neighbour), at least 1.
    pub fn magnification(mut self, factor: usize) -> Self {
        self.magnification = Some(factor);
        self
    }

    /// Draws the grid: the SVG with its text, the PNG with the images alone.
    ///
    /// # Errors
    /// [`ReportError::GridSize`] when the picture would be too large,
    /// [`ReportError::Draw`] when a PNG cannot be encoded.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let layout = Layout::of(self)?;
        let alt = self.alt();
        Ok(Figure {
            title: self.title.clone(),
            caption: self.full_caption(),
            svg: self.svg(&layout, &alt)?,
            png: self.png(&layout)?,
            csv: self.csv(),
            alt,
        })
    }

    fn images(&self) -> impl Iterator<Item = &Image> {
        self.rows.iter().flat_map(|r| &r.cells).filter_map(|c| c.image.as_ref())
    }

    /// The images alone, on white.
    fn png(&self, layout: &Layout) -> Result<Vec<u8>, ReportError> {
        let factor = layout.factor;
        let ends = |sides: &[usize]| sides.iter().map(|s| s + GAP).sum::<usize>() + GAP;
        let (width, height) = (ends(&layout.image_widths), ends(&layout.image_heights));
        let mut rgb = vec![255u8; 3 * width * height];
        let mut top = GAP;
        for (row, row_height) in self.rows.iter().zip(&layout.image_heights) {
            let mut left = GAP;
            for (cell, column_width) in row.cells.iter().zip(&layout.image_widths) {
                if let Some(image) = &cell.image {
                    let [_, rows, columns] = image.shape();
                    for y in 0..rows * factor {
                        for x in 0..columns * factor {
                            let at = 3 * ((top + y) * width + left + x);
                            let colour = image.colour(y / factor, x / factor);
                            rgb[at..at + 3].copy_from_slice(&colour);
                        }
                    }
                }
                left += column_width + GAP;
            }
            top += row_height + GAP;
        }
        encode_png(width, height, &rgb)
    }

    fn svg(&self, layout: &Layout, alt: &str) -> Result<String, ReportError> {
        let gap = GAP as f64;
        let mut body = String::new();
        let mut top = gap;
        if !self.title.trim().is_empty() {
            for line in wrap(&clean(&self.title), layout.title_wrap()) {
                top += 1.25 * LINE;
                push_text(&mut body, layout.width / 2.0, top - 7.0, 18.0, "middle", &line);
            }
            top += gap;
        }
        if self.columns.iter().any(|c| !c.trim().is_empty()) {
            top += LINE;
            let columns = layout.columns().zip(&layout.image_widths);
            for (caption, ((left, width), &image)) in self.columns.iter().zip(columns) {
                // Words stand to the left, so does what stands above them.
                let (x, anchor) =
                    if image > 0 { (left + width / 2.0, "middle") } else { (left, "start") };
                push_text(&mut body, x, top - 5.0, FONT, anchor, caption);
            }
            top += gap / 2.0;
        }
        for (row, &image_height) in self.rows.iter().zip(&layout.image_heights) {
            let height = image_height as f64;
            let middle = |lines: usize| top + (height - LINE * lines as f64) / 2.0 + 15.0;
            let caption = wrap(&clean(&row.caption), ROW_WRAP);
            for (i, line) in caption.iter().enumerate() {
                let baseline = middle(caption.len()) + LINE * i as f64;
                push_text(&mut body, gap, baseline, FONT, "start", line);
            }
            for (cell, (left, width)) in row.cells.iter().zip(layout.columns()) {
                let first = match &cell.image {
                    Some(image) => {
                        let [_, rows, columns] = image.shape();
                        let (w, h) = (columns * layout.factor, rows * layout.factor);
                        let x = left + (width - w as f64) / 2.0;
                        // Infallible: writing to a String.
                        let _ = write!(
                            body,
                            "<image x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w}\" height=\"{h}\" \
                             preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
                             style=\"image-rendering:pixelated\" href=\"{}\"/>",
                            image.data_uri()?
                        );
                        top + height + 16.0
                    }
                    None => middle(cell.lines.len()),
                };
                let (x, anchor) = match cell.image {
                    Some(_) => (left + width / 2.0, "middle"),
                    None => (left, "start"),
                };
                for (i, line) in cell.lines.iter().enumerate() {
                    push_text(&mut body, x, first + LINE * i as f64, FONT, anchor, line);
                }
            }
            top += layout.row_height(row, height) + gap;
        }
        let opening = svg_opening(layout.width.ceil(), top.ceil(), alt);
        let family = "DejaVu Sans, Verdana, Liberation Sans, Arial, sans-serif";
        Ok(format!(
            "{opening} font-family=\"{family}\" fill=\"#1a1a1a\">\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>{body}</svg>"
        ))
    }

    fn full_caption(&self) -> String {
        match self.images().map(Image::not_finite).sum::<usize>() {
            0 => self.caption.clone(),
            n => add_sentence(
                &self.caption,
                &format!("{n} pixel values are not finite and shown in magenta."),
            ),
        }
    }

    fn alt(&self) -> String {
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let lines: Vec<&str> =
                    row.cells.iter().flat_map(|c| &c.lines).map(String::as_str).collect();
                format!("{}: {}", row.caption, lines.join(", "))
            })
            .collect();
        format!("Images: {}. {}.", self.title, rows.join("; "))
    }

    /// `row,row_caption,column,column_caption,text`, one row a cell.
    fn csv(&self) -> String {
        let mut csv = csv_record(["row", "row_caption", "column", "column_caption", "text"]);
        for (r, row) in self.rows.iter().enumerate() {
            for (c, cell) in row.cells.iter().enumerate() {
                let column = self.columns.get(c).map_or("", String::as_str);
                csv += &csv_record([
                    &r.to_string(),
                    &row.caption,
                    &c.to_string(),
                    column,
                    &cell.lines.join("; "),
                ]);
            }
        }
        csv
    }
}

fn push_text(body: &mut String, x: f64, y: f64, size: f64, anchor: &str, text: &str) {
    // Infallible: writing to a String.
    let _ = write!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{}</text>",
        xml(text)
    );
}

fn text_width(text: &str, size: f64) -> f64 {
    CHARACTER * size * text.chars().count() as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn image(value: f32) -> Image {
        Image::new(1, 2, 2, vec![0.0, value, value, 1.0]).unwrap()
    }

    fn decode(png: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn the_png_is_the_nearest_neighbour_magnification() {
        let figure = ImageGrid::new("t")
            .row("a", [(image(0.2), String::new()), (image(0.4), String::new())])
            .magnification(3)
            .draw()
            .unwrap();
        let (width, height, pixels) = decode(figure.png());
        assert_eq!((width as usize, height as usize), (3 * GAP + 12, 2 * GAP + 6));
        let at = |x: usize, y: usize| pixels[3 * (y * width as usize + x)];
        assert_eq!(at(0, 0), 255);
        for (x, y, expected) in [(0, 0, 0), (2, 2, 0), (3, 0, 51), (2, 3, 51), (5, 5, 255)] {
            assert_eq!(at(GAP + x, GAP + y), expected, "{x} {y}");
        }
        assert_eq!(at(2 * GAP + 6 + 3, GAP), 102);
    }

    #[test]
    fn an_adversarial_row_states_scale_labels_and_confidences() {
        let example = AdversarialExample {
            name: "no. 7".into(),
            image: image(0.2),
            perturbed: image(0.2 + 4.0 / 255.0),
            label: "cat".into(),
            clean: Prediction::new("cat", 0.991),
            attacked: Prediction::new("<dog>", f32::NAN),
        };
        let grid = ImageGrid::adversarial("t", &[example]).unwrap();
        let figure = grid.draw().unwrap();
        for text in ["×32", "max |δ| = 4/255", "true: cat", "clean: cat (99.1 %)", "&lt;dog&gt;"]
        {
            assert!(figure.svg().contains(text), "{text}");
        }
        assert_eq!(figure.svg().matches("<image ").count(), 3);
        assert!(!figure.svg().contains("<dog>"));
        assert_eq!(figure, grid.draw().unwrap());
    }

    #[test]
    fn empty_and_ragged_grids_are_drawn_and_huge_ones_refused() {
        let empty = ImageGrid::new("").draw().unwrap();
        assert!(empty.svg().ends_with("</svg>"));
        let mut ragged = ImageGrid::new("t").row("a", [(image(0.1), "one".into())]);
        ragged.rows.push(GridRow::default());
        ragged.columns = vec!["x".into(), "y".into(), "z".into()];
        assert_eq!(ragged.draw().unwrap().svg().matches("<image ").count(), 1);
        let huge = ragged.magnification(usize::MAX).draw().unwrap_err();
        assert!(huge.to_string().contains("fewer images"), "{huge}");
    }

    #[test]
    fn pixels_that_are_not_finite_are_counted() {
        let figure = ImageGrid::new("t")
            .caption("Two images")
            .row("", [(image(f32::NAN), String::new())])
            .draw()
            .unwrap();
        assert_eq!(
            figure.caption,
            "Two images. 2 pixel values are not finite and shown in magenta."
        );
    }
}
