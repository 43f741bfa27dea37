//! One table, four forms: terminal text, HTML, CSV and LaTeX.

use maud::{Markup, html};

use crate::text::{clean, csv_record, display_width};

/// What a cell holds. Rounding is for reading; the CSV keeps every digit.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number, read with this many decimals.
    Number(f64, usize),
    /// A fraction of 1, read in percent with this many decimals.
    Percent(f64, usize),
    /// A whole number.
    Count(u64),
    /// Nothing measured: a dash, and an empty field in the CSV.
    Missing,
}

/// Characters of a text in a cell that stands in one line of a page.
const SHORT: usize = 16;

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl Cell {
    /// As it is read.
    pub fn shown(&self) -> String {
        let finite = |value: f64, text: String| {
            if value.is_nan() {
                "NaN".to_string()
            } else if value.is_infinite() {
                if value > 0.0 { "∞".to_string() } else { "−∞".to_string() }
            } else {
                text
            }
        };
        match self {
            Self::Text(text) => clean(text),
            Self::Number(value, decimals) => {
                let decimals = (*decimals).min(17);
                finite(*value, format!("{:.decimals$}", positive_zero(*value, decimals)))
            }
            Self::Percent(fraction, decimals) => {
                let decimals = (*decimals).min(17);
                let percent = positive_zero(100.0 * fraction, decimals);
                finite(*fraction, format!("{percent:.decimals$} %"))
            }
            Self::Count(count) => count.to_string(),
            Self::Missing => "–".to_string(),
        }
    }

    /// With every digit; a percentage stays a fraction.
    fn exact(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value, _) | Self::Percent(value, _) => value.to_string(),
            Self::Count(count) => count.to_string(),
            Self::Missing => String::new(),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// −0.0 and what rounds to it read as 0.
fn positive_zero(value: f64, decimals: usize) -> f64 {
    if value.abs() < 0.5 * 10f64.powi(-(decimals as i32)) { 0.0 } else { value }
}

/// A table. Rows may be ragged: what is missing reads as a dash.
///
/// ```
/// use cure_report::{Cell, Table};
/// let table = Table::new("Accuracy", ["network", "clean", "PGD-20"])
///     .row([Cell::from("before"), Cell::Percent(0.9173, 2), Cell::Percent(0.0, 2)])
///     .row([Cell::from("after"), Cell::Percent(0.8087, 2), Cell::Missing]);
/// assert!(table.to_csv().starts_with("network,clean,PGD-20\nbefore,0.9173,0\n"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// What the reader should see.
    pub caption: String,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<S: Into<String>>(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row at the bottom.
    pub fn row(mut self, cells: impl IntoIterator<Item = Cell>) -> Self {
        self.rows.push(cells.into_iter().collect());
        self
    }

    /// Number of columns, of the heading or of the longest row.
    fn width(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.columns.len())
    }

    fn heading(&self, column: usize) -> String {
        self.columns.get(column).map(|c| clean(c)).unwrap_or_default()
    }

    fn cell(&self, row: usize, column: usize) -> &Cell {
        self.rows.get(row).and_then(|r| r.get(column)).unwrap_or(&Cell::Missing)
    }

    /// Numbers stand to the right, under each other; words to the left.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|r| r.get(column));
        cells.clone().next().is_some() && cells.all(|c| !c.is_text())
    }

    /// Aligned text for a terminal, caption first.
    pub fn to_text(&self) -> String {
        let columns = self.width();
        let shown: Vec<Vec<String>> = (0..self.rows.len())
            .map(|r| (0..columns).map(|c| self.cell(r, c).shown()).collect())
            .collect();
        let headings: Vec<String> = (0..columns).map(|c| self.heading(c)).collect();
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                let cells = shown.iter().map(|row| display_width(&row[c]));
                cells.max().unwrap_or(0).max(display_width(&headings[c]))
            })
            .collect();
        let line = |cells: &[String]| {
            let mut line = String::new();
            for (c, cell) in cells.iter().enumerate() {
                let padding = " ".repeat(widths[c] - display_width(cell));
                let separator = if c > 0 { "  " } else { "" };
                line += separator;
                if self.is_numeric(c) {
                    line += &padding;
                    line += cell;
                } else {
                    line += cell;
                    line += &padding;
                }
            }
            format!("{}\n", line.trim_end())
        };
        let mut text = String::new();
        if !self.caption.trim().is_empty() {
            text += &clean(&self.caption);
            text += "\n\n";
        }
        text += &line(&headings);
        let rule = widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1);
        text += &"─".repeat(rule);
        text.push('\n');
        for row in &shown {
            text += &line(row);
        }
        text
    }

    /// The `<table>` alone; the report adds number, caption and scrolling.
    pub fn to_html(&self) -> String {
        self.markup().into_string()
    }

    pub(crate) fn markup(&self) -> Markup {
        let class = |column: usize| self.is_numeric(column).then_some("number");
        // Long words are read in several lines; numbers stay whole.
        let cell_class = |row: usize, column: usize| match self.cell(row, column) {
            Cell::Text(text) if text.chars().count() > SHORT => Some("words"),
            _ => class(column),
        };
        html! {
            table {
                thead {
                    tr {
                        @for c in 0..self.width() {
                            th scope="col" class=[class(c)] { (self.heading(c)) }
                        }
                    }
                }
                tbody {
                    @for r in 0..self.rows.len() {
                        tr {
                            @for c in 0..self.width() {
                                @if c == 0 && self.cell(r, c).is_text() {
                                    th scope="row" { (self.cell(r, c).shown()) }
                                } @else {
                                    td class=[cell_class(r, c)] { (self.cell(r, c).shown()) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// CSV with every digit (percentages as fractions), headings first.
    pub fn to_csv(&self) -> String {
        let columns = self.width();
        let headings = (0..columns).map(|c| self.columns.get(c).map_or("", String::as_str));
        let mut csv = csv_record(headings);
        for r in 0..self.rows.len() {
            csv += &csv_record((0..columns).map(|c| self.cell(r, c).exact()));
        }
        csv
    }

    /// A LaTeX `table` in the booktabs style (`\usepackage{booktabs}`).
    pub fn to_latex(&self) -> String {
        let columns = self.width();
        let alignment: String =
            (0..columns).map(|c| if self.is_numeric(c) { 'r' } else { 'l' }).collect();
        let line = |cells: Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|c| latex(c)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let mut text = String::from("\\begin{table}\n\\centering\n");
        if !self.caption.trim().is_empty() {
            text += &format!("\\caption{{{}}}\n", latex(&clean(&self.caption)));
        }
        text += &format!("\\begin{{tabular}}{{{alignment}}}\n\\toprule\n");
        text += &line((0..columns).map(|c| self.heading(c)).collect());
        text += "\\midrule\n";
        for r in 0..self.rows.len() {
            text += &line((0..columns).map(|c| self.cell(r, c).shown()).collect());
        }
        text += "\\bottomrule\n\\end{tabular}\n\\end{table}\n";
        text
    }
}

/// Text for LaTeX; the symbols of the field become mathematics, so that a
/// document needs no special font.
fn latex(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                escaped.push('\\');
                escaped.push(c);
            }
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' | '>' | '|' => escaped.push_str(&format!("${c}$")),
            '–' => escaped.push_str("--"),
            c => match symbol(c) {
                Some(name) => escaped.push_str(&format!("${name}$")),
                None => escaped.push(c),
            },
        }
    }
    escaped
}

fn symbol(c: char) -> Option<&'static str> {
    Some(match c {
        'ε' => "\\varepsilon",
        'γ' => "\\gamma",
        'δ' => "\\delta",
        'λ' => "\\lambda",
        'ν' => "\\nu",
        'ℓ' => "\\ell",
        '∞' => "\\infty",
        '×' => "\\times",
        '·' => "\\cdot",
        '±' => "\\pm",
        '−' => "-",
        '≤' => "\\le",
        '≥' => "\\ge",
        '‖' => "\\|",
        '→' => "\\to",
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new("Accuracy at ε = 2/255 & \"<b>\"", ["network", "clean", "loss, mean"])
            .row([Cell::from("before_1"), Cell::Percent(0.9173, 2), Cell::Number(-0.00001, 2)])
            .row([Cell::from("ä <i>ℓ∞</i>"), Cell::Percent(0.05, 1), Cell::Number(f64::NAN, 2)])
            .row([Cell::from("a, \"b\"\nc"), Cell::Missing])
    }

    #[test]
    fn text_is_aligned() {
        let expected = "\
Accuracy at ε = 2/255 & \"<b>\"

network        clean  loss, mean
────────────────────────────────
before_1     91.73 %        0.00
ä <i>ℓ∞</i>    5.0 %         NaN
a, \"b\" c           –           –
";
        assert_eq!(table().to_text(), expected);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let text = Table::new("", ["a", "b"])
            .row([Cell::from("猫"), Cell::from(1u64)])
            .row([Cell::from("cat"), Cell::from(20u64)])
            .to_text();
        assert_eq!(text, "a     b\n───────\n猫    1\ncat  20\n");
    }

    #[test]
    fn csv_comes_back_exactly() {
        let csv_text = table().to_csv();
        let mut reader = csv::Reader::from_reader(csv_text.as_bytes());
        assert_eq!(reader.headers().unwrap().get(2), Some("loss, mean"));
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows[0][1].parse::<f64>().unwrap(), 0.9173);
        assert_eq!(rows[0][2].parse::<f64>().unwrap(), -0.00001);
        assert!(rows[1][2].parse::<f64>().unwrap().is_nan());
        assert_eq!(&rows[2][0], "a, \"b\"\nc");
        assert_eq!(&rows[2][1], "");
        assert_eq!(&rows[2][2], "");
    }

    #[test]
    fn html_is_escaped_and_says_what_is_a_heading() {
        let html = table().to_html();
        assert!(html.contains("&lt;i&gt;"), "{html}");
        assert!(!html.contains("<i>"));
        assert!(html.contains("<th scope=\"row\">before_1</th>"));
        assert!(html.contains("<td class=\"number\">91.73 %</td>"));
    }

    #[test]
    fn latex_is_escaped() {
        let expected = "\
\\begin{table}
\\centering
\\caption{Accuracy at $\\varepsilon$ = 2/255 \\& \"$<$b$>$\"}
\\begin{tabular}{lrr}
\\toprule
network & clean & loss, mean \\\\
\\midrule
before\\_1 & 91.73 \\% & 0.00 \\\\
ä $<$i$>$$\\ell$$\\infty$$<$/i$>$ & 5.0 \\% & NaN \\\\
a, \"b\" c & -- & -- \\\\
\\bottomrule
\\end{tabular}
\\end{table}
";
        assert_eq!(table().to_latex(), expected);
    }

    #[test]
    fn an_empty_table_has_every_form() {
        let empty = Table::default();
        assert_eq!(empty.to_text(), "\n\n");
        assert_eq!(empty.to_csv(), "\n");
        assert!(empty.to_html().starts_with("<table>"));
        assert!(empty.to_latex().contains("\\toprule"));
    }

    #[test]
    fn infinities_are_signed() {
        assert_eq!(Cell::Number(f64::NEG_INFINITY, 1).shown(), "−∞");
        assert_eq!(Cell::Percent(f64::INFINITY, 1).shown(), "∞");
        assert_eq!(Cell::Number(1.0, 400).shown().len(), 19);
    }
}
