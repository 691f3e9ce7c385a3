//! Generates the initial objects of the demo's buckets from their keys.

use jpeg_encoder::{ColorType, Encoder};
use sha2::{Digest, Sha256};

const WIDTH: u16 = 240;
const HEIGHT: u16 = 160;

/// Content type and bytes of an object: a landscape if the key ends in `.jpg` or `.svg`, whose details depend on the key; otherwise a
/// line of text.
pub(crate) fn generate(key: &str) -> (&'static str, Vec<u8>) {
    let landscape = Landscape::of(key);
    match key.rsplit_once('.') {
        Some((_, "jpg")) => ("image/jpeg", landscape.jpeg()),
        Some((_, "svg")) => ("image/svg+xml", landscape.svg().into_bytes()),
        Some(_) | None => ("text/plain", format!("{key}\n").into_bytes()),
    }
}

struct Landscape {
    sky: [u8; 3],
    grass: [u8; 3],
    /// In pixels from the left and the top.
    sun: (i32, i32),
    hill: i32,
}

impl Landscape {
    fn of(key: &str) -> Self {
        let dice: [u8; 32] = Sha256::digest(key).into();
        let skies = [[135, 206, 235], [255, 183, 120], [176, 196, 222], [120, 160, 220]];
        Self {
            sky: skies[usize::from(dice[0]) % skies.len()],
            grass: [40 + dice[1] / 4, 140 + dice[2] / 4, 40 + dice[3] / 6],
            sun: (30 + i32::from(dice[4]) * 180 / 255, 25 + i32::from(dice[5]) * 40 / 255),
            hill: 40 + i32::from(dice[6]) * 160 / 255,
        }
    }

    fn pixel(&self, x: i32, y: i32) -> [u8; 3] {
        let (from_sun_x, from_sun_y) = (x - self.sun.0, y - self.sun.1);
        let from_hill = x - self.hill;
        let horizon = 90 + from_hill * from_hill / 500;
        if y > horizon {
            // Some columns are darker, like grass.
            let shade = u8::from((x * 7 + y / 3) % 5 == 0) * 30;
            return self.grass.map(|part| part.saturating_sub(shade));
        }
        if from_sun_x * from_sun_x + from_sun_y * from_sun_y < 15 * 15 {
            return [255, 236, 130];
        }
        let lighter = u8::try_from(y / 3).unwrap_or(u8::MAX);
        self.sky.map(|part| part.saturating_add(lighter))
    }

    fn jpeg(&self) -> Vec<u8> {
        let mut pixels = Vec::new();
        for y in 0..i32::from(HEIGHT) {
            for x in 0..i32::from(WIDTH) {
                pixels.extend_from_slice(&self.pixel(x, y));
            }
        }
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, 80)
            .encode(&pixels, WIDTH, HEIGHT, ColorType::Rgb)
            .expect("the pixels fill width times height, and a vector takes every byte");
        bytes
    }

    fn svg(&self) -> String {
        let colour = |[r, g, b]: [u8; 3]| format!("#{r:02x}{g:02x}{b:02x}");
        let (x, y) = self.sun;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\">\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"{sky}\"/>\
             <circle cx=\"{x}\" cy=\"{y}\" r=\"15\" fill=\"#ffec82\"/>\
             <ellipse cx=\"{hill}\" cy=\"{HEIGHT}\" rx=\"{WIDTH}\" ry=\"70\" fill=\"{grass}\"/></svg>\n",
            sky = colour(self.sky),
            hill = self.hill,
            grass = colour(self.grass),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_type_of_its_keys_extension() {
        let (jpeg, bytes) = generate("2015/01/01/grass.jpg");
        assert_eq!(
            (jpeg, &bytes[..3], &bytes[bytes.len() - 2..]),
            ("image/jpeg", &b"\xFF\xD8\xFF"[..], &b"\xFF\xD9"[..])
        );
        let (svg, bytes) = generate("a/b.svg");
        assert_eq!((svg, bytes.starts_with(b"<svg ")), ("image/svg+xml", true));
        assert_eq!(generate("a/notes.txt"), ("text/plain", b"a/notes.txt\n".to_vec()));
        assert_ne!(generate("2015/01/01/grass.jpg").1, generate("2015/01/02/sea.jpg").1);
    }
}
