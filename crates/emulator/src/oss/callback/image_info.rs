//! The size of an image, from the first bytes of its file.

/// The height and width in pixels, and the format's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ImageInfo {
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) format: &'static str,
}

/// The bytes begin like an image, but its size cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UnreadableImage;

impl ImageInfo {
    /// `None` for what is no JPEG, PNG or GIF.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, UnreadableImage> {
        let info = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            png(bytes)
        } else if bytes.starts_with(b"GIF8") {
            gif(bytes)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            jpeg(bytes)
        } else {
            return Ok(None);
        };
        info.map(Some).ok_or(UnreadableImage)
    }
}

fn png(bytes: &[u8]) -> Option<ImageInfo> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some(ImageInfo { width: number(16)?, height: number(20)?, format: "png" })
}

fn gif(bytes: &[u8]) -> Option<ImageInfo> {
    let number = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    Some(ImageInfo { width: number(6)?.into(), height: number(8)?.into(), format: "gif" })
}

/// The size is in the first segment that starts a frame.
fn jpeg(bytes: &[u8]) -> Option<ImageInfo> {
    let number = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let mut at = 2;
    loop {
        let [0xff, marker] = *bytes.get(at..at + 2)? else { return None };
        let starts_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if starts_frame {
            let (height, width) = (number(at + 5)?.into(), number(at + 7)?.into());
            return Some(ImageInfo { height, width, format: "jpg" });
        }
        at += 2 + usize::from(number(at + 2)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_image_is_in_its_head() {
        let (_, photo) = crate::oss::demo_images::generate("lake.jpg");
        let of_photo = ImageInfo::read(&photo).unwrap().unwrap();
        assert!(of_photo.format == "jpg" && of_photo.width > 0 && of_photo.height > 0);
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\0\0\0\0\x80";
        let gif = b"GIF89a\x03\0\x02\0";
        let of = |height, width, format| Ok(Some(ImageInfo { height, width, format }));
        assert_eq!(ImageInfo::read(png), of(128, 256, "png"));
        assert_eq!(ImageInfo::read(gif), of(2, 3, "gif"));
        assert_eq!(ImageInfo::read(b"hello"), Ok(None));
        for cut in [&png[..20], &gif[..8], &photo[..10], b"\xff\xd8\xff\xe0\0\0"] {
            assert_eq!(ImageInfo::read(cut), Err(UnreadableImage));
        }
    }
}
