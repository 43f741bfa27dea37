//! A grid as words and images at their places, written as SVG and as PNG.

use std::fmt::Write;

use kuva::render::color::Color;
use kuva::render::render::{Primitive, Scene, TextAnchor};

use super::layout::Layout;
use super::{FONT, GAP, ImageGrid, LINE, ROW_WRAP, TITLE};
use crate::ReportError;
use crate::figure::svg_opening;
use crate::image::Image;
use crate::plot::png_of;
use crate::text::{clean, wrap, xml};

/// Colour of words.
const INK: &str = "#1a1a1a";

/// Where a text begins, or its middle.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
}

enum Element<'a> {
    Words { x: f64, y: f64, size: u32, anchor: Anchor, text: String },
    Image { x: f64, y: f64, width: f64, height: f64, image: &'a Image },
}

/// Everything in its place.
pub(super) struct Picture<'a> {
    elements: Vec<Element<'a>>,
    width: f64,
    height: f64,
}

impl<'a> Picture<'a> {
    pub(super) fn of(grid: &'a ImageGrid) -> Result<Self, ReportError> {
        let layout = Layout::of(grid)?;
        let mut picture = Self { elements: Vec::new(), width: layout.width.ceil(), height: 0.0 };
        let gap = GAP as f64;
        let mut top = gap;
        if !grid.title.trim().is_empty() {
            for line in wrap(&clean(&grid.title), layout.title_wrap()) {
                top += 1.25 * LINE;
                picture.words(layout.width / 2.0, top - 7.0, TITLE, Anchor::Middle, &line);
            }
            top += gap;
        }
        if grid.columns.iter().any(|c| !c.trim().is_empty()) {
            top += LINE;
            let columns = layout.columns().zip(&layout.image_widths);
            for (caption, ((left, width), &image)) in grid.columns.iter().zip(columns) {
                // Words stand to the left, so does what stands above them.
                let (x, anchor) = if image > 0 {
                    (left + width / 2.0, Anchor::Middle)
                } else {
                    (left, Anchor::Start)
                };
                picture.words(x, top - 5.0, FONT, anchor, caption);
            }
            top += gap / 2.0;
        }
        for (row, &image_height) in grid.rows.iter().zip(&layout.image_heights) {
            let height = image_height as f64;
            let middle = |lines: usize| top + (height - LINE * lines as f64) / 2.0 + 15.0;
            let caption = wrap(&clean(&row.caption), ROW_WRAP);
            for (i, line) in caption.iter().enumerate() {
                let baseline = middle(caption.len()) + LINE * i as f64;
                picture.words(gap, baseline, FONT, Anchor::Start, line);
            }
            for (cell, (left, width)) in row.cells.iter().zip(layout.columns()) {
                let (first, x, anchor) = match &cell.image {
                    Some(image) => {
                        let [_, rows, columns] = image.shape();
                        let (w, h) =
                            ((columns * layout.factor) as f64, (rows * layout.factor) as f64);
                        let x = left + (width - w) / 2.0;
                        let place = Element::Image { x, y: top, width: w, height: h, image };
                        picture.elements.push(place);
                        (top + height + 16.0, left + width / 2.0, Anchor::Middle)
                    }
                    None => (middle(cell.lines.len()), left, Anchor::Start),
                };
                for (i, line) in cell.lines.iter().enumerate() {
                    picture.words(x, first + LINE * i as f64, FONT, anchor, line);
                }
            }
            top += layout.row_height(row, height) + gap;
        }
        picture.height = top.ceil();
        Ok(picture)
    }

    fn words(&mut self, x: f64, y: f64, size: u32, anchor: Anchor, text: &str) {
        let text = clean(text);
        self.elements.push(Element::Words { x, y, size, anchor, text });
    }

    pub(super) fn svg(&self, alt: &str) -> Result<String, ReportError> {
        let mut body = String::new();
        for element in &self.elements {
            // Infallible: writing to a String.
            let _ = match element {
                Element::Words { x, y, size, anchor, text } => {
                    let anchor = match anchor {
                        Anchor::Start => "start",
                        Anchor::Middle => "middle",
                    };
                    write!(
                        body,
                        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" \
                         text-anchor=\"{anchor}\">{}</text>",
                        xml(text)
                    )
                }
                Element::Image { x, y, width, height, image } => write!(
                    body,
                    "<image x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height}\" \
                     preserveAspectRatio=\"none\" image-rendering=\"optimizeSpeed\" \
                     style=\"image-rendering:pixelated\" href=\"{}\"/>",
                    image.data_uri()?
                ),
            };
        }
        let opening = svg_opening(self.width, self.height, alt);
        let family = "DejaVu Sans, Verdana, Liberation Sans, Arial, sans-serif";
        Ok(format!(
            "{opening} font-family=\"{family}\" fill=\"{INK}\">\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>{body}</svg>"
        ))
    }

    /// The PNG, by kuva for the sake of its letters; each pixel of an image is a rectangle.
    pub(super) fn png(&self, title: &str) -> Result<Vec<u8>, ReportError> {
        let mut scene = Scene::new(self.width, self.height);
        scene.text_color = Some(INK.to_string());
        for element in &self.elements {
            scene.add(match element {
                Element::Words { x, y, size, anchor, text } => Primitive::Text {
                    x: *x,
                    y: *y,
                    content: text.clone(),
                    size: *size,
                    anchor: match anchor {
                        Anchor::Start => TextAnchor::Start,
                        Anchor::Middle => TextAnchor::Middle,
                    },
                    rotate: None,
                    bold: false,
                    color: None,
                },
                Element::Image { x, y, width, height, image } => {
                    let [_, rows, columns] = image.shape();
                    let (dx, dy) = (width / columns as f64, height / rows as f64);
                    let places = || (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)));
                    let fill = |(r, c)| {
                        let [red, green, blue] = image.colour(r, c);
                        Color::Rgb(red, green, blue)
                    };
                    Primitive::RectBatch {
                        // On whole pixels, so that neighbours do not shine through.
                        x: places().map(|(_, c)| x.round() + dx * c as f64).collect(),
                        y: places().map(|(r, _)| y.round() + dy * r as f64).collect(),
                        w: vec![dx; rows * columns],
                        h: vec![dy; rows * columns],
                        fills: places().map(fill).collect(),
                    }
                }
            });
        }
        png_of(&scene, title)
    }
}
