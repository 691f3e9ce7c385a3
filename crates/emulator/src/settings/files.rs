//! Reads the files of a configuration.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a text file up to a limit far above any configuration: a pipe, such as the shell's `<(…)`, or a device may never end.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    const MAX_BYTES: u64 = 64 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        let why = format!("it is longer than {} MiB", MAX_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(bytes).map_err(not_text)
}
