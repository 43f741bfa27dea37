//! The report is one file, escaped, and refers to nothing outside itself.
#![allow(clippy::unwrap_used)]

use cure_report::plot::{BarGroup, BarPlot, LinePlot, Series};
use cure_report::{Cell, Image, ImageGrid, Report, Section, Table};

const EVIL: &str = "<script>alert('1')</script> & \"quoted\" <img src=x onerror=y>";

fn report(text: &str) -> Report {
    let image = Image::new(1, 2, 2, vec![0.0, 0.3, 0.6, 1.0]).unwrap();
    let line = LinePlot::new(text, text, text)
        .series(Series::new(text, [(0.0, 1.0), (1.0, 2.0)]))
        .caption(text);
    let bars = BarPlot::new(text, text, [text]).group(BarGroup::new(text, [1.0])).caption(text);
    let mut grid = ImageGrid::new(text).row(text, [(image, text.to_string())]).caption(text);
    grid.columns = vec![text.to_string()];
    Report::new(text)
        .language(text)
        .summary(text)
        .section(
            Section::new(text)
                .paragraph(text)
                .code(text)
                .folded_code(text, text)
                .table(Table::new(text, [text]).row([Cell::from(text)]).row([Cell::Count(3)]))
                .figure(line.draw().unwrap())
                .figure(bars.draw().unwrap())
                .figure(grid.draw().unwrap()),
        )
        .provenance(text, text)
}

#[test]
fn every_text_is_escaped() {
    let html = report(EVIL).to_html();
    for tag in ["<script", "<img", "onerror=y>", "lang=\"<"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert!(html.contains("&lt;script&gt;"));
}

#[test]
fn the_file_refers_to_nothing_outside() {
    let html = report("plain").to_html().replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "//", "<script", "<link", "@import", "src=", "file:"] {
        // Base 64 may hold slashes; nothing else may.
        let found = html
            .split('"')
            .filter(|part| !part.starts_with("data:image/png;base64,"))
            .any(|part| part.contains(outside));
        assert!(!found, "{outside}");
    }
}

#[test]
fn figures_and_tables_are_numbered_and_described() {
    let html = report("plain").to_html();
    assert!(html.starts_with("<!DOCTYPE html><html lang=\"plain\"><head><meta charset=\"utf-8\">"));
    for text in ["Table 1", "Figure 1", "Figure 2", "Figure 3", "viewport"] {
        assert!(html.contains(text), "{text}");
    }
    assert!(!html.contains("Figure 4"));
    let count = |what: &str| html.matches(what).count();
    assert_eq!(count("<figure"), count("<figcaption>"));
    assert_eq!(count("<svg"), 3);
    assert_eq!(count("role=\"img\" aria-label=\""), 3);
    // What scrolls can be reached by keyboard: the table, the code, the folded code, the provenance.
    assert_eq!(count("tabindex=\"0\" role=\"region\" aria-label="), 4);
    assert_eq!(count("<details><summary>plain</summary>"), 1);
    let html = report("plain").unnumbered().to_html();
    for text in ["Table 1. ", "Figure 1. "] {
        assert!(!html.contains(text), "{text}");
    }
}

#[test]
fn a_figure_without_caption_is_named_by_its_title() {
    let figure = LinePlot::new("The title", "x", "y").draw().unwrap();
    let html = Report::new("r").section(Section::new("s").figure(figure)).to_html();
    assert!(html.contains("<figcaption><b>Figure 1. </b>The title</figcaption>"), "{html}");
}

#[test]
fn saving_writes_the_same_file_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.html"), folder.path().join("b.html"));
    report("plain").save(&first).unwrap();
    report("plain").save(&second).unwrap();
    assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
}
