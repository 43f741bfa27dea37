//! Small images as PNG, and perturbations made visible.

use crate::ReportError;
use crate::text::base64;

/// Largest accepted side of an image in pixels.
const LARGEST_SIDE: usize = 4096;
/// What a pixel that is not finite looks like: a colour no photograph has much of.
const NOT_FINITE: [u8; 3] = [255, 0, 255];

/// A small picture: channel-major f32 pixels, nominally in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    channels: usize,
    height: usize,
    width: usize,
    pixels: Vec<f32>,
}

impl Image {
    /// # Shapes
    /// `pixels` is `[channels, height, width]`, channels 1 (grey) or 3 (red,
    /// green, blue). Values outside `[0, 1]` are shown as 0 or 1, values that
    /// are not finite in magenta.
    ///
    /// # Errors
    /// [`ReportError::ImageShape`] for other channel counts, sides outside
    /// `1..=4096`, or a number of values that does not fill the shape.
    pub fn new(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<f32>,
    ) -> Result<Self, ReportError> {
        let sides = 1..=LARGEST_SIDE;
        let fits = matches!(channels, 1 | 3)
            && sides.contains(&height)
            && sides.contains(&width)
            && pixels.len() == channels * height * width;
        if fits {
            Ok(Self { channels, height, width, pixels })
        } else {
            Err(ReportError::ImageShape { channels, height, width, pixels: pixels.len() })
        }
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Number of values that are not finite.
    pub fn not_finite(&self) -> usize {
        self.pixels.iter().filter(|p| !p.is_finite()).count()
    }

    /// The 8-bit colour of a pixel, rounded to the nearest.
    pub(crate) fn colour(&self, row: usize, column: usize) -> [u8; 3] {
        let plane = self.height * self.width;
        let at = |channel: usize| self.pixels[channel * plane + row * self.width + column];
        let values = if self.channels == 1 { [at(0); 3] } else { [at(0), at(1), at(2)] };
        if values.iter().all(|v| v.is_finite()) {
            values.map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
        } else {
            NOT_FINITE
        }
    }

    /// The image at its own size, ready for an `href`.
    pub(crate) fn data_uri(&self) -> Result<String, ReportError> {
        let mut rgb = Vec::with_capacity(3 * self.height * self.width);
        for row in 0..self.height {
            for column in 0..self.width {
                rgb.extend(self.colour(row, column));
            }
        }
        let png = encode_png(self.width, self.height, &rgb)?;
        Ok(format!("data:image/png;base64,{}", base64(&png)))
    }
}

/// 8-bit RGB rows as PNG bytes.
pub(crate) fn encode_png(width: usize, height: usize, rgb: &[u8]) -> Result<Vec<u8>, ReportError> {
    let fail = |cause: String| ReportError::Draw { title: "image grid".into(), cause };
    let side = |side: usize| u32::try_from(side).map_err(|error| fail(error.to_string()));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(width)?, side(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| fail(error.to_string()))?;
    writer.write_image_data(rgb).map_err(|error| fail(error.to_string()))?;
    writer.finish().map_err(|error| fail(error.to_string()))?;
    Ok(bytes)
}

/// δ = perturbed − image, made visible as 0.5 + k·δ with k = 1 / (2·max|δ|):
/// mid-grey where nothing changed, full range where most did.
#[derive(Debug, Clone, PartialEq)]
pub struct Perturbation {
    /// The picture of δ.
    pub image: Image,
    /// k; 0 when nothing changed.
    pub magnification: f32,
    /// max|δ| over the finite differences, in pixel units of `[0, 1]`.
    pub largest: f32,
    /// ‖δ‖₂ over the finite differences, in pixel units of `[0, 1]`.
    pub length: f64,
}

impl Perturbation {
    /// The magnified difference of two images.
    ///
    /// # Errors
    /// [`ReportError::PerturbationShape`] when the shapes differ.
    pub fn between(image: &Image, perturbed: &Image) -> Result<Self, ReportError> {
        if image.shape() != perturbed.shape() {
            return Err(ReportError::PerturbationShape {
                image: image.shape(),
                perturbed: perturbed.shape(),
            });
        }
        let mut delta: Vec<f32> =
            perturbed.pixels.iter().zip(&image.pixels).map(|(p, i)| p - i).collect();
        let largest = delta.iter().filter(|d| d.is_finite()).fold(0f32, |m, d| m.max(d.abs()));
        let squares = delta.iter().filter(|d| d.is_finite()).map(|d| f64::from(*d).powi(2));
        let length = squares.sum::<f64>().sqrt();
        // Below this the magnification itself would overflow: nothing to see.
        let magnification = if largest > 1e-30 { 0.5 / largest } else { 0.0 };
        for value in &mut delta {
            // A difference that is not finite stays so, and is shown in magenta.
            *value = if value.is_finite() { 0.5 + magnification * *value } else { f32::NAN };
        }
        let image = Image { pixels: delta, ..image.clone() };
        Ok(Self { image, magnification, largest, length })
    }

    /// Such as `×15.9, max |δ| = 8/255, ‖δ‖₂ = 1.74`.
    pub fn scale_text(&self) -> String {
        if self.magnification == 0.0 {
            return "no change".to_string();
        }
        let in_255ths = format!("{:.2}", 255.0 * self.largest);
        let in_255ths = match in_255ths.trim_end_matches('0').trim_end_matches('.') {
            "0" => format!("{:.1e}", 255.0 * self.largest),
            shown => shown.to_string(),
        };
        let k = match self.magnification {
            k if k < 10.0 => format!("{k:.1}"),
            k if k < 1e6 => format!("{k:.0}"),
            k => format!("{k:.1e}"),
        };
        let length = match self.length {
            length if length < 0.01 => format!("{length:.1e}"),
            length => format!("{length:.2}"),
        };
        format!("×{k}, max |δ| = {in_255ths}/255, ‖δ‖₂ = {length}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn refuses_shapes_that_cannot_be_shown() {
        for (c, h, w, n) in [(2, 2, 2, 8), (1, 0, 2, 0), (3, 2, 2, 4), (1, 1, 4097, 4097)] {
            let error = Image::new(c, h, w, vec![0.0; n]).unwrap_err();
            assert!(error.to_string().contains("1 or 3 channels"), "{error}");
        }
    }

    #[test]
    fn colours_are_rounded_clamped_and_channel_major() {
        let image = Image::new(3, 1, 2, vec![1.0, 0.0, 0.5, -3.0, 0.0, 9.0]).unwrap();
        assert_eq!(image.colour(0, 0), [255, 128, 0]);
        assert_eq!(image.colour(0, 1), [0, 0, 255]);
        let grey = Image::new(1, 1, 2, vec![0.2, f32::NAN]).unwrap();
        assert_eq!(grey.colour(0, 0), [51; 3]);
        assert_eq!(grey.colour(0, 1), NOT_FINITE);
        assert_eq!(grey.not_finite(), 1);
    }

    #[test]
    fn a_perturbation_fills_the_range() {
        let image = Image::new(1, 1, 3, vec![0.5, 0.5, 0.5]).unwrap();
        let step = 8.0 / 255.0;
        let perturbed = Image::new(1, 1, 3, vec![0.5 + step, 0.5, 0.5 - step / 2.0]).unwrap();
        let shown = Perturbation::between(&image, &perturbed).unwrap();
        assert!((shown.image.pixels[0] - 1.0).abs() < 1e-5);
        assert_eq!(shown.image.pixels[1], 0.5);
        assert!((shown.image.pixels[2] - 0.25).abs() < 1e-5);
        assert_eq!(shown.scale_text(), "×16, max |δ| = 8/255, ‖δ‖₂ = 0.04");
    }

    #[test]
    fn no_change_and_no_numbers_are_grey_and_magenta() {
        let image = Image::new(1, 1, 2, vec![0.3, 0.3]).unwrap();
        let same = Perturbation::between(&image, &image).unwrap();
        assert_eq!(same.image.pixels, [0.5, 0.5]);
        assert_eq!(same.scale_text(), "no change");
        let broken = Image::new(1, 1, 2, vec![0.3, f32::INFINITY]).unwrap();
        let shown = Perturbation::between(&image, &broken).unwrap();
        assert_eq!(shown.image.pixels[0], 0.5);
        assert_eq!(shown.image.not_finite(), 1);
        let other = Image::new(1, 2, 1, vec![0.3, 0.3]).unwrap();
        assert!(Perturbation::between(&image, &other).is_err());
    }
}
