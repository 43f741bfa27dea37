//! What the two kinds of schedules share in reading their texts.

/// Why a text was refused; the caller adds the text and the accepted forms.
pub(super) type Refusal = String;

/// `0.1` or a fraction, as lengths in pixels are written: `8/255`.
pub(super) fn number(text: &str) -> Result<f64, Refusal> {
    let plain = |text: &str| text.trim().parse::<f64>();
    let value = match text.split_once('/') {
        None => plain(text),
        Some((above, below)) => plain(above).and_then(|above| Ok(above / plain(below)?)),
    };
    match value {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("`{text}` is no finite number")),
    }
}

/// `A..B`.
pub(super) fn range(text: &str) -> Result<(f64, f64), Refusal> {
    let (from, to) = text.split_once("..").ok_or(format!("`{text}` is no range FROM..TO"))?;
    Ok((number(from)?, number(to)?))
}

/// The two sides of `separator`.
pub(super) fn split(text: &str, separator: char) -> Result<(&str, &str), Refusal> {
    text.split_once(separator).ok_or(format!("`{separator}` is missing in `{text}`"))
}

/// A whole number of epochs, at least 1.
pub(super) fn epochs(text: &str) -> Result<usize, Refusal> {
    match text.trim().parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is no number of epochs (1 or more)")),
        Ok(epochs) => Ok(epochs),
    }
}

/// A configuration file may say a constant without quotes.
#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a number or a schedule's text")]
pub(super) enum Written {
    Number(f64),
    Text(String),
}

impl Written {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Number(value) => value.to_string(),
            Self::Text(text) => text,
        }
    }
}
