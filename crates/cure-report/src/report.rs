//! Sections, tables and figures in one HTML file that needs nothing else.
//!
//! No scripts, no fonts, no links to anywhere: the file can be mailed, printed
//! and opened in ten years. It follows the reader's light or dark setting and
//! is readable on a phone.

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{Figure, ReportError, Table, write_atomically};

const STYLE: &str = include_str!("report.css");

/// One thing in a section.
#[derive(Debug, Clone, PartialEq)]
enum Block {
    Paragraph(String),
    Code(String),
    Folded(String, String),
    Table(Table),
    Figure(Figure),
}

/// A heading and what stands beneath it, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    heading: String,
    blocks: Vec<Block>,
}

impl Section {
    /// A section without content.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), blocks: Vec::new() }
    }

    /// Adds a paragraph of plain text.
    pub fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Paragraph(text.into()));
        self
    }

    /// Adds preformatted text, such as the command that repeats a result.
    pub fn code(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Code(text.into()));
        self
    }

    /// Adds preformatted text that shows when its `summary` is opened.
    pub fn folded_code(mut self, summary: impl Into<String>, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Folded(summary.into(), text.into()));
        self
    }

    /// Adds a numbered table.
    pub fn table(mut self, table: Table) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// Adds a numbered figure.
    pub fn figure(mut self, figure: Figure) -> Self {
        self.blocks.push(Block::Figure(figure));
        self
    }
}

/// A report.
///
/// ```
/// use cure_report::{Report, Section};
/// let html = Report::new("What changed")
///     .summary("Fine-tuning raised robust accuracy from 0 % to 36 %.")
///     .section(Section::new("Accuracy").paragraph("Measured on 1000 images."))
///     .provenance("seed", "0")
///     .to_html();
/// assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\">"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    title: String,
    language: String,
    summary: Vec<String>,
    sections: Vec<Section>,
    provenance: Vec<(String, String)>,
    is_numbered: bool,
}

impl Report {
    /// A report in English, without content.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            language: "en".into(),
            summary: Vec::new(),
            sections: Vec::new(),
            provenance: Vec::new(),
            is_numbered: true,
        }
    }

    /// Captions without numbers, where headings name tables and figures already.
    pub fn unnumbered(mut self) -> Self {
        self.is_numbered = false;
        self
    }

    /// Language of the text (BCP 47, such as `de`).
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = language.into();
        self
    }

    /// Adds a sentence to the summary at the top.
    pub fn summary(mut self, sentence: impl Into<String>) -> Self {
        self.summary.push(sentence.into());
        self
    }

    /// Adds a section at the end.
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Adds a line to the table of where the numbers come from.
    pub fn provenance(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.provenance.push((key.into(), value.into()));
        self
    }

    /// The whole file.
    pub fn to_html(&self) -> String {
        let mut numbers = Numbers { is_counting: self.is_numbered, ..Numbers::default() };
        html! {
            (DOCTYPE)
            html lang=(self.language) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        @if !self.summary.is_empty() {
                            div.summary {
                                @for sentence in &self.summary { p { (sentence) } }
                            }
                        }
                        @for section in &self.sections {
                            section {
                                h2 { (section.heading) }
                                @for block in &section.blocks { (numbers.block(block)) }
                            }
                        }
                        @if !self.provenance.is_empty() { (self.provenance_table()) }
                    }
                }
            }
        }
        .into_string()
    }

    fn provenance_table(&self) -> Markup {
        html! {
            section {
                h2 { "Where the numbers come from" }
                div.scroll tabindex="0" role="region" aria-label="Where the numbers come from" {
                    table.provenance {
                        tbody {
                            @for (key, value) in &self.provenance {
                                tr { th scope="row" { (key) } td { (value) } }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`ReportError::Write`] with the path and the cause.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        write_atomically(path, self.to_html().as_bytes())
    }
}

/// Counts tables and figures through the report.
#[derive(Default)]
struct Numbers {
    is_counting: bool,
    tables: usize,
    figures: usize,
}

impl Numbers {
    fn block(&mut self, block: &Block) -> Markup {
        match block {
            Block::Paragraph(text) => html! { p { (text) } },
            Block::Code(text) => html! {
                pre.scroll tabindex="0" role="region" aria-label="Preformatted text" { (text) }
            },
            Block::Folded(summary, text) => html! {
                details {
                    summary { (summary) }
                    pre.scroll tabindex="0" role="region" aria-label=(summary) { (text) }
                }
            },
            Block::Table(table) => {
                self.tables += 1;
                let name = format!("Table {}", self.tables);
                html! {
                    figure.table {
                        figcaption { @if self.is_counting { b { (name) ". " } } (table.caption) }
                        div.scroll tabindex="0" role="region" aria-label=(name) { (table.markup()) }
                    }
                }
            }
            Block::Figure(figure) => {
                self.figures += 1;
                let caption =
                    if figure.caption.trim().is_empty() { &figure.title } else { &figure.caption };
                html! {
                    figure.picture {
                        // Drawn by this crate, its text escaped there.
                        div.card { (PreEscaped(&figure.svg)) }
                        figcaption { @if self.is_counting { b { "Figure " (self.figures) ". " } } (caption) }
                    }
                }
            }
        }
    }
}
