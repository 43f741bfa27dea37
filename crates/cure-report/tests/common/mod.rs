//! What the tests of figures share.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use cure_report::Figure;

/// Width and height written in the PNG's header.
fn png_size(png: &[u8]) -> (u32, u32) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

/// Width and height of the SVG.
fn svg_size(svg: &str) -> (f64, f64) {
    let number = |name: &str| {
        let (_, rest) = svg.split_once(&format!(" {name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse::<f64>().unwrap()
    };
    (number("width"), number("height"))
}

/// Sizes that agree, and no coordinate that is no number.
pub fn is_sound(figure: &Figure) {
    let (width, height) = svg_size(figure.svg());
    assert!((300.0..=2000.0).contains(&width) && (300.0..=2000.0).contains(&height));
    assert!(figure.svg().ends_with("</svg>"));
    for word in ["NaN", "inf"] {
        for quoted in [format!("\"{word}\""), format!("\"-{word}\""), format!(" {word},")] {
            assert!(!figure.svg().contains(&quoted), "{quoted} in a coordinate");
        }
    }
    let (wide, high) = png_size(figure.png());
    assert_eq!((wide as f64 / 2.0, high as f64 / 2.0), (width.round(), height.round()));
}

/// The dots of a PNG.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    rgb: Vec<u8>,
}

impl Picture {
    pub fn of(figure: &Figure) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(figure.png())).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { width: info.width as usize, height: info.height as usize, rgb }
    }

    /// The colour at a place in pixels of the SVG.
    pub fn at(&self, x: f64, y: f64) -> [u8; 3] {
        let place = 3 * ((2.0 * y) as usize * self.width + (2.0 * x) as usize);
        self.rgb[place..place + 3].try_into().unwrap()
    }
}

/// The numbers of the attributes of an SVG element.
pub fn numbers<const N: usize>(element: &str, names: [&str; N]) -> [f64; N] {
    names.map(|name| {
        let (_, rest) = element.split_once(&format!(" {name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    })
}

/// All elements of a name, each from its name to its end.
pub fn elements<'a>(svg: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!("<{name} ");
    svg.split(&opening).skip(1).map(|rest| rest.split_once('>').unwrap().0).collect()
}

/// Left, top, width and height of the area inside the axes: the first frame drawn.
pub fn area(figure: &Figure) -> [f64; 4] {
    let frames = elements(figure.svg(), "rect");
    let frame = frames.into_iter().find(|e| e.contains("fill=\"none\"")).unwrap();
    numbers(&format!(" {frame}"), ["x", "y", "width", "height"])
}

/// Centres of the round markers of a figure, without that of the legend.
pub fn circles(figure: &Figure) -> Vec<(f64, f64)> {
    let all = elements(figure.svg(), "circle");
    let large = all.into_iter().map(|e| numbers(&format!(" {e}"), ["cx", "cy", "r"]));
    large.filter(|[_, _, r]| *r > 6.0).map(|[x, y, _]| (x, y)).collect()
}
