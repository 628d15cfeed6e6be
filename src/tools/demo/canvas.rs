//! A picture of three full-size planes, and the one stroke everything is painted with: blending.
//! It does not know what is being painted, nor how the planes become a JPEG.

use jpeg_encoder::{ImageBuffer, JpegColorType, rgb_to_ycbcr};

/// Picture width in pixels; a multiple of 8, as RFC 2435 counts width in blocks.
pub const WIDTH: usize = 640;
/// Picture height in pixels; a multiple of 8.
pub const HEIGHT: usize = 360;

/// A colour in full-range YCbCr (JFIF), ready to be laid into the planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    /// From 8-bit RGB.
    pub fn rgb(red: u8, green: u8, blue: u8) -> Self {
        let (y, cb, cr) = rgb_to_ycbcr(red, green, blue);
        Self([y, cb, cr])
    }

    /// From linear parts where 1.0 is full; what is brighter than full is clipped.
    pub fn rgb_unit([red, green, blue]: [f32; 3]) -> Self {
        let byte = |part: f32| (part.clamp(0.0, 1.0) * 255.0) as u8;
        Self::rgb(byte(red), byte(green), byte(blue))
    }
}

/// Three planes (Y, Cb, Cr) of [`WIDTH`] x [`HEIGHT`] bytes, row by row.
#[derive(Clone)]
pub struct Canvas {
    planes: [Vec<u8>; 3],
}

impl Canvas {
    /// A canvas of one colour.
    pub fn new(colour: Colour) -> Self {
        Self { planes: colour.0.map(|value| vec![value; WIDTH * HEIGHT]) }
    }

    /// Becomes equal to `other` without allocating.
    pub fn copy_from(&mut self, other: &Canvas) {
        for (plane, source) in self.planes.iter_mut().zip(&other.planes) {
            plane.copy_from_slice(source);
        }
    }

    /// Moves one pixel towards `colour`: 0 leaves it, 255 replaces it. Outside the picture nothing happens.
    pub fn blend(&mut self, x: i32, y: i32, colour: Colour, opacity: u8) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= WIDTH || y >= HEIGHT {
            return;
        }
        let at = y * WIDTH + x;
        let opacity = i32::from(opacity) + i32::from(opacity >> 7); // 0..=256, so that 255 is exact
        for (plane, value) in self.planes.iter_mut().zip(colour.0) {
            let old = i32::from(plane[at]);
            plane[at] = (old + (((i32::from(value) - old) * opacity) >> 8)) as u8;
        }
    }

    /// Fills the rectangle whose top left corner is (`x`, `y`), clipped to the picture.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        let (left, right) = (x.min(WIDTH), (x + width).min(WIDTH));
        for row in y.min(HEIGHT)..(y + height).min(HEIGHT) {
            for (plane, value) in self.planes.iter_mut().zip(colour.0) {
                plane[row * WIDTH + left..row * WIDTH + right].fill(value);
            }
        }
    }

    /// A soft spot of light: full `opacity` in the middle, nothing at the radii.
    pub fn spot(&mut self, centre: [f32; 2], radii: [f32; 2], colour: Colour, opacity: f32) {
        let [left, top] = [0, 1].map(|axis| (centre[axis] - radii[axis]).floor() as i32);
        let [right, bottom] = [0, 1].map(|axis| (centre[axis] + radii[axis]).ceil() as i32);
        for y in top.max(0)..=bottom.min(HEIGHT as i32 - 1) {
            let dy = (y as f32 - centre[1]) / radii[1];
            for x in left.max(0)..=right.min(WIDTH as i32 - 1) {
                let dx = (x as f32 - centre[0]) / radii[0];
                let inside = 1.0 - dx * dx - dy * dy;
                if inside > 0.0 {
                    self.blend(x, y, colour, (opacity * (inside * 1.4).min(1.0) * 255.0) as u8);
                }
            }
        }
    }

    /// The luma of one pixel.
    #[cfg(test)]
    pub fn luma(&self, x: usize, y: usize) -> u8 {
        self.planes[0][y * WIDTH + x]
    }
}

impl ImageBuffer for &Canvas {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        WIDTH as u16
    }

    fn height(&self) -> u16 {
        HEIGHT as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let start = usize::from(y) * WIDTH;
        for (buffer, plane) in buffers.iter_mut().zip(&self.planes) {
            buffer.extend_from_slice(&plane[start..start + WIDTH]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_is_exact_at_both_ends() {
        let mut canvas = Canvas::new(Colour::rgb(0, 0, 0));
        let white = Colour::rgb(255, 255, 255);
        canvas.blend(3, 4, white, 0);
        assert_eq!(canvas.luma(3, 4), 0);
        canvas.blend(3, 4, white, 255);
        assert_eq!(canvas.luma(3, 4), 255);
        canvas.blend(3, 4, Colour::rgb(0, 0, 0), 255);
        assert_eq!(canvas.luma(3, 4), 0);
    }

    #[test]
    fn strokes_outside_the_picture_are_clipped() {
        let mut canvas = Canvas::new(Colour::rgb(0, 0, 0));
        let white = Colour::rgb(255, 255, 255);
        canvas.blend(-1, 0, white, 255);
        canvas.blend(0, HEIGHT as i32, white, 255);
        canvas.fill(WIDTH - 2, HEIGHT - 2, 50, 50, white);
        canvas.fill(WIDTH + 10, HEIGHT + 10, 5, 5, white);
        canvas.spot([-5.0, -5.0], [20.0, 20.0], white, 1.0);
        canvas.spot([5000.0, 5.0], [20.0, 20.0], white, 1.0);
        assert_eq!(canvas.luma(WIDTH - 1, HEIGHT - 1), 255);
        assert_eq!(canvas.luma(WIDTH - 3, HEIGHT - 1), 0);
    }
}
