//! The turning mirror ball and the spots of light it throws on the wall behind.
//! Geometry alone: it is told how far the ball has turned, and knows no clock.

use super::canvas::{Canvas, Colour};
use std::f32::consts::{PI, TAU};

/// Bands of mirror tiles from pole to pole.
const BANDS: usize = 15;
/// Tiles around the equator; fewer towards the poles, so that tiles stay about square.
const EQUATOR_TILES: f32 = 30.0;
/// Spots thrown on the wall all around, of which about a third is in sight.
const SPOTS: u32 = 150;
/// Distance from the ball to the wall, in pixels.
const WALL: f32 = 190.0;

/// Lamps in the room: a direction (unit length is not needed) and a colour.
const LAMPS: [([f32; 3], [f32; 3]); 6] = [
    ([-0.6, -0.6, 0.6], [1.0, 1.0, 1.0]),
    ([0.9, -0.3, 0.4], [0.2, 0.85, 1.0]),
    ([-0.9, 0.25, 0.5], [1.0, 0.25, 0.75]),
    ([0.35, 0.8, 0.5], [1.0, 0.65, 0.15]),
    ([0.15, -0.95, 0.2], [0.55, 0.45, 1.0]),
    ([0.5, -0.1, 0.9], [0.75, 0.9, 1.0]),
];

/// A ball at a fixed place, its per-pixel geometry worked out once.
pub struct Ball {
    centre: [i32; 2],
    pixels: Vec<Pixel>,
    bands: Vec<Band>,
}

/// One pixel of the disc.
struct Pixel {
    at: [i32; 2],
    band: usize,
    /// Longitude while the ball has not turned, in turns; 0 faces the viewer.
    longitude: f32,
    /// How much of the pixel the disc covers, and how dark the joint above or below the band is.
    opacity: u8,
    shade: f32,
}

/// One band of tiles.
struct Band {
    latitude: f32,
    tiles: f32,
}

impl Ball {
    /// A ball around `centre`, in pixels.
    pub fn new(centre: [i32; 2], radius: i32) -> Self {
        let bands = (0..BANDS).map(|band| {
            let latitude = PI * ((band as f32 + 0.5) / BANDS as f32 - 0.5);
            Band { latitude, tiles: (EQUATOR_TILES * latitude.cos()).round().max(4.0) }
        });
        let span = -radius - 1..=radius + 1;
        let pixels = span.clone().flat_map(|dy| span.clone().map(move |dx| [dx, dy]));
        Self {
            centre,
            bands: bands.collect(),
            pixels: pixels.filter_map(|offset| Pixel::on_sphere(centre, offset, radius as f32)).collect(),
        }
    }

    /// Paints the ball turned by `turn` (1.0 is once around); `flash` (0 to 1) lights every tile.
    pub fn paint(&self, canvas: &mut Canvas, turn: f32, flash: f32) {
        let tiles: Vec<Vec<Colour>> = self
            .bands
            .iter()
            .enumerate()
            .map(|(index, band)| {
                (0..band.tiles as u32)
                    .map(|tile| tile_colour(index as u32, band, tile, turn, flash))
                    .collect()
            })
            .collect();
        let joint = Colour::rgb(8, 9, 16);
        for pixel in &self.pixels {
            let band = &self.bands[pixel.band];
            let around = (pixel.longitude + turn).rem_euclid(1.0) * band.tiles;
            let tile = (around as usize).min(tiles[pixel.band].len() - 1);
            canvas.blend(pixel.at[0], pixel.at[1], tiles[pixel.band][tile], pixel.opacity);
            let across = around.fract();
            let edge = (across.min(1.0 - across) / 0.09).min(1.0).min(pixel.shade);
            canvas.blend(
                pixel.at[0],
                pixel.at[1],
                joint,
                ((1.0 - edge) * f32::from(pixel.opacity) * 0.8) as u8,
            );
        }
    }

    /// Paints the spots on the wall behind the ball; they run to the side on which tiles leave.
    pub fn paint_spots(&self, canvas: &mut Canvas, turn: f32, flash: f32) {
        let [x, y] = self.centre.map(|place| place as f32);
        for spot in 0..SPOTS {
            let longitude = ((scatter(spot, 1) - turn).rem_euclid(1.0) - 0.5) * TAU;
            let slant = longitude.cos();
            if slant < 0.34 {
                continue;
            }
            let latitude = (scatter(spot, 2) - 0.5) * 1.7;
            let place = [x + WALL * longitude.tan(), y + WALL * latitude.tan() / slant];
            let size = 5.0 + 4.0 * scatter(spot, 3);
            let (_, colour) = LAMPS[(scatter(spot, 4) * LAMPS.len() as f32) as usize % LAMPS.len()];
            let near = (slant - 0.34) / 0.66;
            let strength = (0.12 + 0.30 * near) * (0.5 + 0.5 * scatter(spot, 5)) + 0.10 * flash * near;
            canvas.spot(place, [size / slant, size], Colour::rgb_unit(colour), strength);
        }
    }
}

impl Pixel {
    fn on_sphere(centre: [i32; 2], offset: [i32; 2], radius: f32) -> Option<Self> {
        let [dx, dy] = offset.map(|part| part as f32);
        let distance = dx.hypot(dy);
        let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
        if cover == 0.0 {
            return None;
        }
        let inside = (distance / radius).min(0.999) / distance.max(0.001);
        let [nx, ny] = [dx * inside, dy * inside];
        let nz = (1.0 - nx * nx - ny * ny).sqrt();
        let rows = ((ny.asin() / PI) + 0.5) * BANDS as f32;
        let down = rows.fract();
        Some(Self {
            at: [centre[0] + offset[0], centre[1] + offset[1]],
            band: (rows as usize).min(BANDS - 1),
            longitude: nx.atan2(nz) / TAU,
            opacity: (cover * 255.0) as u8,
            shade: (down.min(1.0 - down) / 0.09).min(1.0) * (0.35 + 0.65 * nz).min(1.0),
        })
    }
}

/// What a flat mirror tile shows: the room's lamps, reflected by its slightly crooked normal.
fn tile_colour(index: u32, band: &Band, tile: u32, turn: f32, flash: f32) -> Colour {
    let name = index * 64 + tile;
    let longitude = ((tile as f32 + 0.5) / band.tiles - turn) * TAU + (scatter(name, 6) - 0.5) * 0.22;
    let latitude = band.latitude + (scatter(name, 7) - 0.5) * 0.22;
    let normal = [latitude.cos() * longitude.sin(), latitude.sin(), latitude.cos() * longitude.cos()];
    let facing = normal[2];
    let reflected = [2.0 * facing * normal[0], 2.0 * facing * normal[1], 2.0 * facing * facing - 1.0];
    let base = 0.10 + 0.16 * scatter(name, 8) + 0.14 * facing.max(0.0);
    let mut light = [base * 0.85, base * 0.9, base * 1.15];
    for (direction, colour) in LAMPS {
        let length = dot(direction, direction).sqrt();
        let glint = (dot(reflected, direction) / length).max(0.0).powi(14);
        for (part, colour) in light.iter_mut().zip(colour) {
            *part += glint * colour * 0.95;
        }
    }
    Colour::rgb_unit(light.map(|part| part + flash * 0.35))
}

fn dot(one: [f32; 3], other: [f32; 3]) -> f32 {
    one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
}

/// A fixed scattering of numbers in 0..1: the same tile is always crooked in the same way.
fn scatter(name: u32, salt: u32) -> f32 {
    let mut mixed = name.wrapping_mul(0x9e37_79b1) ^ salt.wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x2c1b_3c6d);
    mixed = (mixed ^ (mixed >> 12)).wrapping_mul(0x297a_2d39);
    (mixed ^ (mixed >> 15)) as f32 / u32::MAX as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_numbers_stay_between_nought_and_one() {
        assert!((0..10_000).all(|name| (0.0..=1.0).contains(&scatter(name, 3))));
    }

    #[test]
    fn a_full_turn_shows_the_same_ball() {
        let ball = Ball::new([100, 100], 60);
        let paint = |turn: f32| {
            let mut canvas = Canvas::new(Colour::rgb(0, 0, 0));
            ball.paint(&mut canvas, turn, 0.0);
            canvas
        };
        let (start, half) = (paint(0.0), paint(0.37));
        let differing = |one: &Canvas, other: &Canvas| {
            (0..200)
                .flat_map(|y| (0..200).map(move |x| (x, y)))
                .filter(|&(x, y)| one.luma(x, y).abs_diff(other.luma(x, y)) > 12)
                .count()
        };
        assert!(differing(&start, &paint(1.0)) < 400, "only rounding at the joints may differ");
        assert!(differing(&start, &half) > 2_000, "a turned ball looks different");
    }
}
