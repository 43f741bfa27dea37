//! Finished figures laid on a larger one.

use std::io::Cursor;

use crate::image::encode_png;
use crate::plot::PNG_SCALE;
use crate::{Figure, ReportError};

/// A figure and the place of its upper left corner in pixels of the SVG.
pub(super) struct Pasted<'a> {
    pub(super) figure: &'a Figure,
    pub(super) left: f64,
    pub(super) top: f64,
}

/// Width and height that a figure's SVG says it has.
pub(super) fn svg_size(figure: &Figure) -> Result<(f64, f64), ReportError> {
    let opening = figure.svg().split_once('>').map_or("", |(opening, _)| opening);
    let side = |name: &str| -> Option<f64> {
        let (_, rest) = opening.split_once(&format!(" {name}=\""))?;
        let side = rest.split_once('"')?.0.parse::<f64>().ok()?;
        (side.is_finite() && side >= 1.0).then_some(side)
    };
    side("width").zip(side("height")).ok_or_else(|| ReportError::Draw {
        title: figure.title.clone(),
        cause: "its SVG does not say how large it is".to_string(),
    })
}

/// The figures as SVGs within the SVG.
pub(super) fn paste_svg(whole: &Figure, pasted: &[Pasted]) -> String {
    let mut svg = whole.svg().trim_end().trim_end_matches("</svg>").to_string();
    for Pasted { figure, left, top } in pasted {
        let inner = figure.svg().trim_start();
        let inner = inner.strip_prefix("<svg").unwrap_or(inner);
        svg += &format!("<svg x=\"{left}\" y=\"{top}\"{inner}");
    }
    svg + "</svg>"
}

/// Dots of a picture, three bytes each.
struct Dots {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// The figures' dots in place of the whole's.
pub(super) fn paste_png(whole: &Figure, pasted: &[Pasted]) -> Result<Vec<u8>, ReportError> {
    let mut paper = dots(whole)?;
    for Pasted { figure, left, top } in pasted {
        let picture = dots(figure)?;
        let (left, top) = (PNG_SCALE * *left as usize, PNG_SCALE * *top as usize);
        let width = picture.width.min(paper.width.saturating_sub(left));
        for row in 0..picture.height.min(paper.height.saturating_sub(top)) {
            let from = 3 * row * picture.width;
            let to = 3 * ((top + row) * paper.width + left);
            let line = &picture.rgb[from..from + 3 * width];
            paper.rgb[to..to + 3 * width].copy_from_slice(line);
        }
    }
    encode_png(paper.width, paper.height, &paper.rgb)
}

fn dots(figure: &Figure) -> Result<Dots, ReportError> {
    let fail = |cause: String| ReportError::Draw { title: figure.title.clone(), cause };
    let mut decoder = png::Decoder::new(Cursor::new(figure.png()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| fail(error.to_string()))?;
    let size = reader.output_buffer_size();
    let size = size.ok_or_else(|| fail("its PNG is too large".to_string()))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|error| fail(error.to_string()))?;
    if info.color_type != png::ColorType::Rgb {
        return Err(fail(format!("its PNG is {:?}, not red, green and blue", info.color_type)));
    }
    Ok(Dots { width: info.width as usize, height: info.height as usize, rgb: bytes })
}
