//! A finished picture in the three forms it is kept in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::text::xml;
use crate::{ReportError, write_atomically};

/// A figure: SVG for pages, PNG for everything else, CSV for the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// Title, also drawn at the top of the picture where there is one.
    pub title: String,
    /// What the reader should see in it; shown beneath the picture.
    pub caption: String,
    /// A description for those who cannot see the picture.
    pub alt: String,
    pub(crate) svg: String,
    pub(crate) png: Vec<u8>,
    pub(crate) csv: String,
}

impl Figure {
    /// The picture as a self-contained SVG document.
    pub fn svg(&self) -> &str {
        &self.svg
    }

    /// The picture as PNG bytes (plots: twice the SVG's size, for print).
    pub fn png(&self) -> &[u8] {
        &self.png
    }

    /// The data behind the picture, including what could not be drawn.
    pub fn csv(&self) -> &str {
        &self.csv
    }

    /// The same picture with other numbers beside it.
    pub fn with_csv(mut self, csv: String) -> Self {
        self.csv = csv;
        self
    }

    /// A figure that [`Figure::save`] wrote as `stem.svg`, `stem.png` and `stem.csv`, under its title and caption.
    ///
    /// # Errors
    /// [`ReportError::Read`] with the file that cannot be read.
    pub fn read(
        stem: impl AsRef<Path>,
        title: impl Into<String>,
        caption: impl Into<String>,
    ) -> Result<Self, ReportError> {
        let path = |extension: &str| {
            let mut path = stem.as_ref().as_os_str().to_owned();
            path.push(format!(".{extension}"));
            PathBuf::from(path)
        };
        let refused = |path: &Path, cause| ReportError::Read { path: path.to_path_buf(), cause };
        let text = |path: PathBuf| fs::read_to_string(&path).map_err(|cause| refused(&path, cause));
        let png = path("png");
        let title = title.into();
        Ok(Self {
            alt: title.clone(),
            title,
            caption: caption.into(),
            svg: undescribed(text(path("svg"))?),
            png: fs::read(&png).map_err(|cause| refused(&png, cause))?,
            csv: text(path("csv"))?,
        })
    }

    /// The SVG with its caption as a description: what a file says of itself wherever it ends up.
    fn described(&self) -> String {
        match self.svg.find("<svg").and_then(|at| Some(at + self.svg[at..].find('>')? + 1)) {
            Some(at) if !self.caption.is_empty() && self.svg.as_bytes()[at - 2] != b'/' => {
                let (opening, rest) = self.svg.split_at(at);
                format!("{opening}<desc>{}</desc>{rest}", xml(&self.caption))
            }
            _ => self.svg.clone(),
        }
    }

    /// Writes `stem.svg`, `stem.png` and `stem.csv` into `folder`, which is made
    /// if it is missing, and returns their paths.
    ///
    /// # Errors
    /// [`ReportError::Stem`] when `stem` is empty or names a folder,
    /// [`ReportError::Write`] when a file cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>, stem: &str) -> Result<[PathBuf; 3], ReportError> {
        let folder = folder.as_ref();
        if stem.is_empty() || stem.starts_with('.') || stem.contains(['/', '\\', '\0']) {
            return Err(ReportError::Stem { stem: stem.to_string() });
        }
        fs::create_dir_all(folder)
            .map_err(|cause| ReportError::Write { path: folder.to_path_buf(), cause })?;
        let path = |extension| folder.join(format!("{stem}.{extension}"));
        let paths = [path("svg"), path("png"), path("csv")];
        let svg = self.described();
        let contents = [svg.as_bytes(), &self.png, self.csv.as_bytes()];
        for (path, bytes) in paths.iter().zip(contents) {
            write_atomically(path, bytes)?;
        }
        Ok(paths)
    }
}

/// An SVG without the description that [`Figure::save`] gave it.
fn undescribed(svg: String) -> String {
    match (svg.find("<desc>"), svg.find("</desc>")) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{}", &svg[..start], &svg[end + "</desc>".len()..])
        }
        _ => svg,
    }
}

/// The opening tag of an SVG that scales with its container and can be read
/// aloud. Sizes are in pixels.
pub(crate) fn svg_opening(width: f64, height: f64, alt: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"",
        xml(alt)
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn figure() -> Figure {
        Figure {
            title: "t".into(),
            caption: String::new(),
            alt: "t".into(),
            svg: "<svg/>".into(),
            png: vec![1, 2],
            csv: "x\n".into(),
        }
    }

    #[test]
    fn saves_three_files_in_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        let paths = figure().save(folder.path().join("figures"), "curve").unwrap();
        assert_eq!(fs::read(&paths[0]).unwrap(), b"<svg/>");
        assert_eq!(fs::read(&paths[1]).unwrap(), [1, 2]);
        assert_eq!(fs::read(&paths[2]).unwrap(), b"x\n");
        assert!(paths[2].ends_with("figures/curve.csv"));
    }

    #[test]
    fn the_caption_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let svg = "<svg role=\"img\"><rect/></svg>".into();
        let figure = Figure { caption: "a < b, seed 0".into(), svg, ..figure() };
        let [svg, ..] = figure.save(folder.path(), "curve").unwrap();
        let expected = "<svg role=\"img\"><desc>a &lt; b, seed 0</desc><rect/></svg>";
        assert_eq!(fs::read_to_string(svg).unwrap(), expected);
    }

    #[test]
    fn what_was_saved_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let svg = "<svg role=\"img\"><rect/></svg>".into();
        let saved = Figure { caption: "a < b".into(), svg, ..figure() };
        saved.save(folder.path(), "curve").unwrap();
        let stem = folder.path().join("curve");
        assert_eq!(Figure::read(&stem, "t", "a < b").unwrap(), saved);
        std::fs::remove_file(folder.path().join("curve.csv")).unwrap();
        let error = Figure::read(&stem, "t", "").unwrap_err().to_string();
        assert!(error.contains("curve.csv"), "{error}");
    }

    #[test]
    fn a_stem_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for stem in ["", "..", "../up", "a/b", "a\\b", ".hidden"] {
            let error = figure().save(folder.path(), stem).unwrap_err();
            assert!(matches!(error, ReportError::Stem { .. }), "{stem}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
