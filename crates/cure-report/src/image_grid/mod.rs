//! Rows of small images with captions, magnified so that pixels stay pixels.

mod adversarial;
mod layout;
mod picture;

pub use adversarial::{AdversarialExample, Prediction};

use crate::image::Image;
use crate::text::{add_sentence, csv_record};
use crate::{Figure, ReportError};
use picture::Picture;

/// Side, in pixels, that images are magnified to when no factor is given.
const SHOWN_SIDE: usize = 112;
/// Largest accepted side of the grid in pixels: the PNG takes memory for four times as many.
const LARGEST_SIDE: usize = 8_000;
/// Pixels between everything.
const GAP: usize = 8;
/// Font size of captions in pixels.
const FONT: u32 = 15;
/// Font size of the title.
const TITLE: u32 = 18;
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

    /// Draws the grid.
    ///
    /// # Errors
    /// [`ReportError::GridSize`] when the picture would be too large,
    /// [`ReportError::Draw`] when a PNG cannot be encoded.
    pub fn draw(&self) -> Result<Figure, ReportError> {
        let picture = Picture::of(self)?;
        let alt = self.alt();
        Ok(Figure {
            title: self.title.clone(),
            caption: self.full_caption(),
            svg: picture.svg(&alt)?,
            png: picture.png(&self.title)?,
            csv: self.csv(),
            alt,
        })
    }

    fn images(&self) -> impl Iterator<Item = &Image> {
        self.rows.iter().flat_map(|r| &r.cells).filter_map(|c| c.image.as_ref())
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

fn text_width(text: &str, size: u32) -> f64 {
    CHARACTER * f64::from(size) * text.chars().count() as f64
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

    /// Pixels stay pixels, at twice the size of the SVG, and what is written stands in the PNG too.
    #[test]
    fn the_png_has_images_and_words() {
        let draw = |words: &str| {
            let image = (image(0.4), words.to_string());
            ImageGrid::new("t").row("", [image]).magnification(30).draw().unwrap()
        };
        let (width, _, pixels) = decode(draw("").png());
        let at = |x: usize, y: usize| pixels[3 * (y * width as usize + x)];
        let left = 2 * GAP;
        let top = (0..).find(|&y| at(left + 5, y) == 0).unwrap();
        for (x, y, expected) in
            [(2, 2, 0), (57, 57, 0), (62, 2, 102), (117, 57, 102), (62, 62, 255)]
        {
            assert_eq!(at(left + x, top + y), expected, "{x} {y}");
        }
        assert_eq!(at(left + 2, top + 62), 102);
        assert_ne!(draw("one").png(), draw("two").png());
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
        for text in
            ["×32", "max |δ| = 4/255", "‖δ‖₂ = ", "true: cat", "clean: cat (99.1 %)", "&lt;dog&gt;"]
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
