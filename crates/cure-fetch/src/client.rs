//! One question to a server, and what its answer means for a download.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};

/// How long to wait for a server, and how often to ask again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The longest wait for a connection.
    pub connect: Duration,
    /// The longest wait for an answer to begin, or for the next bytes.
    pub read: Duration,
    /// How many tries in a row may bring next to nothing before the server is given up.
    pub tries: u32,
    /// The pause before the second try; it doubles with each further one, up to half a minute.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (connect, read) = (Duration::from_secs(30), Duration::from_secs(30));
        Self { connect, read, tries: 6, pause: Duration::from_secs(1) }
    }
}

/// Why a try did not bring the whole file.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may pass.
    Passing(String),
    /// Asking again would not help.
    Lasting(String),
    /// What is here belongs to another state of the file on the server.
    Stale,
}

/// What a server gives.
pub(crate) struct Answer {
    /// Where in the file the body begins: at the place asked for, or at 0.
    pub(crate) start: u64,
    /// How long the whole file is, where the server says so.
    pub(crate) total: Option<u64>,
    /// What tells this state of the file from others.
    pub(crate) validator: Option<String>,
    /// The bytes.
    pub(crate) body: Box<dyn Read>,
}

/// Asks servers.
pub(crate) struct Client(Agent);

impl Client {
    pub(crate) fn new(patience: &Patience) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("cure/", env!("CARGO_PKG_VERSION")))
            // Not compressed on the way: lengths and sums are those of the file.
            .accept_encoding("identity")
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_per_read(Some(patience.read))
            .timeout_per_write(Some(patience.read))
            .timeout_recv_response(Some(patience.read))
            .build();
        Self(Agent::new_with_config(config))
    }

    /// Asks for a file from byte `from` on, if it still is in the state that `validator` tells of.
    pub(crate) fn get(
        &self,
        address: &str,
        from: u64,
        validator: Option<&str>,
    ) -> Result<Answer, Trouble> {
        let mut request = self.0.get(address);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
            if let Some(validator) = validator {
                request = request.header("If-Range", validator);
            }
        }
        let response = request.call().map_err(trouble)?;
        let (head, body) = response.into_parts();
        let found = validator_of(&head.headers);
        let body = Box::new(body.into_reader());
        match head.status {
            StatusCode::OK => {
                let total = number(&head.headers, "content-length");
                Ok(Answer { start: 0, total, validator: found, body })
            }
            StatusCode::PARTIAL_CONTENT if from > 0 => {
                let range = text(&head.headers, "content-range").and_then(parse_range);
                let Some((start, total)) = range.filter(|&(start, _)| start == from) else {
                    return Err(Trouble::Lasting(
                        "it answered with another part of the file than was asked for".to_owned(),
                    ));
                };
                // Some servers do not know If-Range but tell the states of a file apart.
                match (validator, &found) {
                    (Some(ours), Some(theirs)) if same_kind(ours, theirs) && ours != theirs => {
                        Err(Trouble::Stale)
                    }
                    _ => Ok(Answer { start, total, validator: found, body }),
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Err(Trouble::Stale),
            status => {
                let problem = format!("the server answered {status}");
                let passes = status.is_server_error()
                    || matches!(status.as_u16(), 408 | 425 | 429)
                    || status == StatusCode::PARTIAL_CONTENT;
                Err(if passes { Trouble::Passing(problem) } else { Trouble::Lasting(problem) })
            }
        }
    }
}

/// What an error of the connection means.
fn trouble(error: ureq::Error) -> Trouble {
    use ureq::Error;
    match error {
        // A certificate that is not trusted, for one.
        Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            Trouble::Lasting(error.to_string())
        }
        Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Trouble::Passing("the server ended the connection".to_owned())
        }
        Error::Io(error) => Trouble::Passing(error.to_string()),
        Error::Timeout(which) => Trouble::Passing(format!("no answer in time ({which})")),
        Error::HostNotFound => Trouble::Passing("there is no server of that name".to_owned()),
        Error::ConnectionFailed => Trouble::Passing("no connection".to_owned()),
        Error::TooManyRedirects => Trouble::Lasting("it leads from one address to the next".into()),
        other => Trouble::Lasting(other.to_string()),
    }
}

/// [`trouble`] while the body is read, whose errors come in another wrapping.
pub(crate) fn trouble_of_body(error: std::io::Error) -> Trouble {
    match ureq::Error::from(error) {
        // Chunks that end in the middle, or are none: the connection, as often as the server.
        ureq::Error::Protocol(error) => Trouble::Passing(error.to_string()),
        other => trouble(other),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    text(headers, name)?.parse().ok()
}

/// The strong tag of a file, or when it was changed: what If-Range takes.
fn validator_of(headers: &HeaderMap) -> Option<String> {
    let strong = text(headers, "etag").filter(|tag| is_tag(tag));
    strong.or_else(|| text(headers, "last-modified")).map(str::to_owned)
}

fn is_tag(validator: &str) -> bool {
    validator.starts_with('"')
}

fn same_kind(a: &str, b: &str) -> bool {
    is_tag(a) == is_tag(b)
}

/// First byte and whole length of `bytes FIRST-LAST/LENGTH`, where the length may be unknown.
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, _last) = range.split_once('-')?;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((first.trim().parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((5, None)));
        for wrong in ["", "bytes", "bytes */10", "bytes 5-9", "lines 5-9/10", "bytes -9/10"] {
            assert_eq!(parse_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn weak_tags_do_not_tell_states_apart() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().fold(HeaderMap::new(), |mut headers, &(name, value)| {
                headers.insert(name, ureq::http::HeaderValue::from_static(value));
                headers
            })
        };
        let date = "Mon, 08 Jun 2009 20:06:27 GMT";
        let of = |pairs: &[(&'static str, &'static str)]| validator_of(&headers(pairs));
        assert_eq!(of(&[("etag", "\"a\""), ("last-modified", date)]).as_deref(), Some("\"a\""));
        assert_eq!(of(&[("etag", "W/\"a\""), ("last-modified", date)]).as_deref(), Some(date));
        assert_eq!(of(&[("etag", "W/\"a\"")]), None);
    }
}
