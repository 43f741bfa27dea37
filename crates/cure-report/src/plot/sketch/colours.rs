//! A colour for each number.

use kuva::plot::colormap::ColorMap;

/// Colours of the map: the first of the palette is for what cannot be drawn.
const COLOURS: u8 = 255;
/// Grey, which viridis does not have.
pub(in crate::plot) const NOT_DRAWABLE: [u8; 3] = [0xd0, 0xd0, 0xd0];

/// viridis (van der Walt and Smith, 2015) over a range: equal steps look equal,
/// in grey and with any kind of colour blindness too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::plot) struct Colours {
    pub(in crate::plot) low: f64,
    pub(in crate::plot) high: f64,
}

impl Colours {
    /// Dot of a value in a raster; beyond the range that of its end.
    pub(in crate::plot) fn dot(self, value: f64) -> u8 {
        if value.is_nan() {
            return 0;
        }
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        1 + (share * f64::from(COLOURS - 1)).round() as u8
    }

    pub(in crate::plot) fn palette() -> Vec<[u8; 3]> {
        let mut palette = vec![NOT_DRAWABLE];
        palette.extend((0..COLOURS).map(|i| {
            let share = f64::from(i) / f64::from(COLOURS - 1);
            ColorMap::Viridis.map_rgb(share).map_or(NOT_DRAWABLE, |(r, g, b)| [r, g, b])
        }));
        palette
    }

    /// Ink that can be seen on the colour of this value.
    pub(in crate::plot) fn ink_on(self, value: f64) -> &'static str {
        // The upper half of viridis is light.
        let light = self.dot(value) > COLOURS / 2;
        if light { "#1a1a1a" } else { "#ffffff" }
    }
}

/// The colour as kuva and SVG write it.
pub(in crate::plot) fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_have_the_ends_of_the_map() {
        let colours = Colours { low: -1.0, high: 3.0 };
        assert_eq!((colours.dot(-1.0), colours.dot(3.0), colours.dot(1.0)), (1, 255, 128));
        assert_eq!((colours.dot(-9.0), colours.dot(f64::INFINITY)), (1, 255));
        assert_eq!(colours.dot(f64::NAN), 0);
        let palette = Colours::palette();
        assert_eq!((palette[1], palette[255]), ([0x44, 0x01, 0x54], [0xfd, 0xe7, 0x25]));
    }
}
