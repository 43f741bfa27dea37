//! The MD5 of files, which is what publishers of these data give.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};

use crate::{FetchError, Result};

/// The MD5 of a file in lower-case hexadecimal.
pub(crate) fn md5_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(FetchError::io("read", path))?;
    let mut sum = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(FetchError::io("read", path))? {
            0 => break,
            read => sum.update(&buffer[..read]),
        }
    }
    let bytes = sum.finalize();
    Ok(bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    }))
}

/// What a file is, where it is not the published one of this length and sum; `None` where it is.
pub(crate) fn difference(path: &Path, size: u64, md5: Option<&str>) -> Result<Option<String>> {
    let metadata = path.metadata().map_err(FetchError::io("read", path))?;
    if !metadata.is_file() {
        return Ok(Some("it is no plain file".to_owned()));
    }
    if metadata.len() != size {
        return Ok(Some(format!("it has {} bytes, not {size}", metadata.len())));
    }
    let Some(md5) = md5 else { return Ok(None) };
    let found = md5_of(path)?;
    Ok((found != md5).then(|| format!("its MD5 is {found}, not {md5}")))
}
