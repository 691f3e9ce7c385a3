//! Compresses one rotated file with gzip, slowly: serving threads share the CPU with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use tokio::time::Instant;

use super::rotation::PlainFile;

/// What is read at once; after each such step the thread pauses.
const CHUNK_BYTES: usize = 64 * 1024;
/// A pause is this many times as long as the step before it, which leaves two thirds of a core to others.
const PAUSE_FACTOR: u32 = 2;
/// The longest pause. A step in which the process was stopped seems long.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Writes the compressed file, and syncs it to the disk. Returns false if it was stopped; then, and after an error, nothing
/// is left.
///
/// The copy has the file's permissions and its time of modification, which is that of its last line.
pub(super) fn compress(
    plain: &mut PlainFile,
    to: &Path,
    is_stopped: impl FnMut() -> bool,
) -> io::Result<bool> {
    let complete = write_copy(plain, to, is_stopped);
    if !matches!(complete, Ok(true)) {
        // It may not exist, and the next attempt truncates it.
        let _ = fs::remove_file(to);
    }
    complete
}

fn write_copy(
    plain: &mut PlainFile,
    to: &Path,
    mut is_stopped: impl FnMut() -> bool,
) -> io::Result<bool> {
    let permissions = plain.metadata.permissions();
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(to)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let began = Instant::now();
        let read = plain.file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        encoder.write_all(&chunk[..read])?;
        if is_stopped() {
            return Ok(false);
        }
        std::thread::sleep((began.elapsed() * PAUSE_FACTOR).min(MAX_PAUSE));
    }
    let file = encoder.finish()?;
    // Without the bits of set-user-ID and the like, which a file of lines has no use for.
    file.set_permissions(fs::Permissions::from_mode(permissions.mode() & 0o777))?;
    file.set_modified(plain.metadata.modified()?)?;
    file.sync_all()?;
    Ok(true)
}

/// Whether the compressed file has these bytes.
pub(super) fn is_copy(compressed: &File, plain: &File) -> io::Result<bool> {
    let mut decoder = BufReader::new(MultiGzDecoder::new(BufReader::new(compressed)));
    let mut plain = BufReader::new(plain);
    let (mut ours, mut theirs) = (vec![0; CHUNK_BYTES], Vec::with_capacity(CHUNK_BYTES));
    loop {
        let read = plain.read(&mut ours)?;
        theirs.clear();
        // At the end of the plain file one more byte would be a difference.
        let limit = read.max(1) as u64;
        match (&mut decoder).take(limit).read_to_end(&mut theirs) {
            Ok(_) if theirs != ours[..read] => return Ok(false),
            Ok(_) if read == 0 => return Ok(true),
            Ok(_) => {}
            // It is no compressed file, or an incomplete one.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput
                        | io::ErrorKind::InvalidData
                        | io::ErrorKind::UnexpectedEof
                ) =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rotation::FileIdentity;
    use super::*;

    fn plain(path: &Path) -> PlainFile {
        let file = File::open(path).unwrap();
        let metadata = file.metadata().unwrap();
        PlainFile { identity: FileIdentity::of(&metadata), file, metadata, copy: None }
    }

    #[test]
    fn a_copy_has_the_files_bytes_permissions_and_time() {
        let folder = tempfile::tempdir().unwrap();
        let [path, to] = ["audit.jsonl.2", "copy"].map(|name| folder.path().join(name));
        let text: String = (0..20_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        fs::write(&path, &text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let time = chrono::DateTime::parse_from_rfc3339("2016-01-13T14:02:37Z").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time.into()).unwrap();

        assert!(compress(&mut plain(&path), &to, || false).unwrap());
        let there = to.metadata().unwrap();
        assert_eq!(there.permissions().mode() & 0o777, 0o640);
        assert_eq!(chrono::DateTime::<chrono::Utc>::from(there.modified().unwrap()), time);
        let mut read = String::new();
        MultiGzDecoder::new(BufReader::new(File::open(&to).unwrap()))
            .read_to_string(&mut read)
            .unwrap();
        assert!(read == text && there.len() < text.len() as u64 / 3);

        let is_same = |text: &[u8], copy: &[u8]| {
            fs::write(&path, text).unwrap();
            fs::write(folder.path().join("other"), copy).unwrap();
            let [ours, theirs] = ["audit.jsonl.2", "other"].map(|name| folder.path().join(name));
            is_copy(&File::open(theirs).unwrap(), &File::open(ours).unwrap()).unwrap()
        };
        let copy = fs::read(&to).unwrap();
        let text = text.as_bytes();
        assert!(is_same(text, &copy));
        let more = [text, b"\n"].concat();
        for (text, copy) in [
            (&more[..], &copy[..]),
            (&text[1..], &copy),
            (&text[..text.len() - 1], &copy),
            (b"", &copy),
            (text, &copy[..copy.len() / 2]),
            (text, b"no gzip"),
        ] {
            assert!(!is_same(text, copy));
        }
    }

    #[test]
    fn a_stopped_compression_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [path, to] = ["audit.jsonl.2", "copy"].map(|name| folder.path().join(name));
        fs::write(&path, vec![b'x'; 3 * CHUNK_BYTES]).unwrap();
        let mut steps = 0;
        let stopped = || {
            steps += 1;
            steps == 2
        };
        assert!(!compress(&mut plain(&path), &to, stopped).unwrap());
        assert_eq!((to.exists(), path.metadata().unwrap().len()), (false, 3 * CHUNK_BYTES as u64));
    }
}
