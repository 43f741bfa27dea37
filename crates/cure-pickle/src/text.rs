//! The textual forms of protocol 0.

/// The bytes that a Python 2 string literal (with its quotes) stands for.
pub(crate) fn unquote(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii_end();
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            same @ (b'\\' | b'\'' | b'"') => same,
            b'x' => hexadecimal(&mut rest, 2)? as u8,
            digit @ b'0'..=b'7' => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(digit) = rest.next_if(|byte| matches!(byte, b'0'..=b'7')) else {
                        break;
                    };
                    value = value * 8 + u32::from(digit - b'0');
                }
                value as u8
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// The text that Python's `raw-unicode-escape` encodes: Latin-1, with `\uXXXX` and `\UXXXXXXXX`.
pub(crate) fn raw_unicode(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let digits = match (byte, rest.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        rest.next();
        text.push(char::from_u32(hexadecimal(&mut rest, digits)?)?);
    }
    Some(text)
}

fn hexadecimal(bytes: &mut impl Iterator<Item = u8>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0u32, |value, _| {
        let digit = char::from(bytes.next()?).to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_as_python_2_wrote_them() {
        assert_eq!(unquote(br"'a\n\x41\\\'\101\0'").as_deref(), Some(&b"a\nA\\'A\0"[..]));
        assert_eq!(unquote(b"\"it's\"").as_deref(), Some(&b"it's"[..]));
        for broken in [&b"'open"[..], b"bare", b"'", br"'\x4'", br"'\q'", br"'\'"] {
            assert_eq!(unquote(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn raw_unicode_escapes() {
        assert_eq!(
            raw_unicode(b"na\xefve \\u2713 \\U0001f600 \\n").as_deref(),
            Some("naïve ✓ 😀 \\n")
        );
        for broken in [&br"\u12"[..], br"\ud800", br"\Uffffffff"] {
            assert_eq!(raw_unicode(broken), None, "{broken:?}");
        }
    }
}
