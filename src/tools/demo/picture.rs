//! The test card: what the programme shows at a given moment. A pure function of the moment; it knows neither
//! the clock nor what becomes of the picture.

use super::ball::Ball;
use super::canvas::{Canvas, Colour, HEIGHT, WIDTH};
use super::font::Pen;

/// Frames a second.
pub const FRAME_RATE: u64 = 25;
/// Frames at the start of each second during which the card flashes: as long as the tone's blip.
pub const FLASH_FRAMES: u64 = 3;
/// Frames in which the ball turns once.
const FRAMES_PER_TURN: u64 = 24 * FRAME_RATE;
/// Left edge of everything written.
const TEXT_X: usize = 272;
/// Top of the colour bars, and of the grey steps under them.
const BARS_Y: usize = 288;
const STEPS_Y: usize = 336;
const BALL_CENTRE: [i32; 2] = [134, 142];
const BALL_RADIUS: i32 = 90;

/// The moment a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Frames since 1970-01-01 00:00:00 UTC.
    pub frame_utc: u64,
    /// Frames since the programme began.
    pub frame: u64,
}

impl Moment {
    /// The wall clock as `HH:MM:SS:FF`, where FF counts the frames of the second.
    pub fn clock(self) -> String {
        let (seconds, frames) = (self.frame_utc / FRAME_RATE, self.frame_utc % FRAME_RATE);
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        format!("{:02}:{:02}:{:02}:{frames:02}", hours % 24, minutes % 60, seconds % 60)
    }

    /// How brightly the card flashes, 1.0 at the very start of a second, 0.0 for most of it.
    fn flash(self) -> f32 {
        let frame = self.frame_utc % FRAME_RATE;
        FLASH_FRAMES.saturating_sub(frame) as f32 / FLASH_FRAMES as f32
    }
}

/// Paints pictures; holds what does not change from one to the next.
pub struct Painter {
    card: Canvas,
    ball: Ball,
    canvas: Canvas,
}

impl Painter {
    /// Prepares the card.
    pub fn prepare() -> Self {
        let card = card();
        Self { canvas: card.clone(), card, ball: Ball::new(BALL_CENTRE, BALL_RADIUS) }
    }

    /// The picture of a moment; it stays valid until the next one is painted.
    pub fn paint(&mut self, moment: Moment) -> &Canvas {
        let turn = (moment.frame_utc % FRAMES_PER_TURN) as f32 / FRAMES_PER_TURN as f32;
        let flash = moment.flash();
        self.canvas.copy_from(&self.card);
        self.ball.paint_spots(&mut self.canvas, turn, flash);
        self.ball.paint(&mut self.canvas, turn, flash);
        bars(&mut self.canvas);
        written(&mut self.canvas, moment);
        running(&mut self.canvas, moment);
        &self.canvas
    }
}

/// The wall: a dark gradient with a glow around the ball, a faint grid, and the wire the ball hangs from.
fn card() -> Canvas {
    let mut canvas = Canvas::new(Colour::rgb(0, 0, 0));
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let away = (x as f32 - BALL_CENTRE[0] as f32).hypot(y as f32 - BALL_CENTRE[1] as f32);
            let glow = (1.0 - away / 420.0).max(0.0).powi(2);
            let line = if x % 40 == 0 || y % 40 == 0 { 0.022 } else { 0.0 };
            let wall = [0.030 + 0.110 * glow, 0.028 + 0.070 * glow, 0.075 + 0.230 * glow];
            let colour = Colour::rgb_unit(wall.map(|part| part + line));
            canvas.blend(x as i32, y as i32, colour, 255);
        }
    }
    let ball_top = (BALL_CENTRE[1] - BALL_RADIUS) as usize;
    canvas.fill(BALL_CENTRE[0] as usize - 1, 0, 2, ball_top, Colour::rgb(120, 124, 140));
    canvas.fill(BALL_CENTRE[0] as usize - 7, ball_top - 6, 14, 7, Colour::rgb(150, 154, 170));
    canvas
}

/// The 75 % colour bars, and eleven grey steps from black to white.
fn bars(canvas: &mut Canvas) {
    for bar in 0..8 {
        // White, yellow, cyan, green, magenta, red, blue, black: green is worth four, red two, blue one.
        let worth = 7 - bar as u8;
        let part = |lit: u8| if worth & lit != 0 { 191 } else { 0 };
        canvas.fill(bar * 80, BARS_Y, 80, STEPS_Y - BARS_Y, Colour::rgb(part(2), part(4), part(1)));
    }
    for step in 0..11 {
        let grey = (step * 255 / 10) as u8;
        let (left, right) = (step * WIDTH / 11, (step + 1) * WIDTH / 11);
        canvas.fill(left, STEPS_Y, right - left, HEIGHT - STEPS_Y, Colour::rgb(grey, grey, grey));
    }
}

/// The name and what stands still.
fn written(canvas: &mut Canvas, moment: Moment) {
    let pen = |pitch, colour| Pen { pitch, colour };
    let soft = Colour::rgb(150, 158, 190);
    pen(5, Colour::rgb(255, 255, 255)).write(canvas, TEXT_X, 36, "MIRRORBALL");
    pen(2, Colour::rgb(120, 205, 255)).write(canvas, TEXT_X, 84, "ONE BEAM IN, MANY BEAMS OUT");
    pen(2, soft).write(canvas, TEXT_X, 124, "UTC");
    pen(5, Colour::rgb(255, 214, 120)).write(canvas, TEXT_X, 146, &moment.clock());
    pen(2, soft).write(canvas, TEXT_X, 216, &format!("FRAME {:08}", moment.frame));
    pen(2, soft).write(canvas, TEXT_X, 240, "640X360 25P JPEG / L16 48K");
}

/// What runs: a row of lamps, one for each frame of the second, and the lamp that flashes with the blip.
fn running(canvas: &mut Canvas, moment: Moment) {
    let now = (moment.frame_utc % FRAME_RATE) as usize;
    for lamp in 0..FRAME_RATE as usize {
        let colour = match lamp.cmp(&now) {
            std::cmp::Ordering::Less => Colour::rgb(150, 110, 40),
            std::cmp::Ordering::Equal => Colour::rgb(255, 240, 200),
            std::cmp::Ordering::Greater => Colour::rgb(42, 42, 66),
        };
        canvas.fill(TEXT_X + lamp * 13, 192, 10, 8, colour);
    }
    let flash = moment.flash();
    let lamp = [42, 42, 66].map(|dark: u8| dark + ((255 - dark) as f32 * flash) as u8);
    canvas.spot([586.0, 128.0], [10.0, 10.0], Colour::rgb(lamp[0], lamp[1], lamp[2]), 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = (19_000 * 86_400 + 12 * 3600 + 34 * 60 + 56) * FRAME_RATE;

    #[test]
    fn the_clock_counts_frames_and_turns_over() {
        let at = |frame_utc| Moment { frame_utc, frame: 0 }.clock();
        assert_eq!(at(NOON), "12:34:56:00");
        assert_eq!(at(NOON + 24), "12:34:56:24");
        assert_eq!(at(NOON + 25), "12:34:57:00");
        assert_eq!(at(86_400 * FRAME_RATE - 1), "23:59:59:24");
        assert_eq!(at(86_400 * FRAME_RATE), "00:00:00:00");
    }

    #[test]
    fn the_card_flashes_only_as_a_second_begins() {
        let flash = |frame| Moment { frame_utc: NOON + frame, frame: 0 }.flash();
        assert_eq!(flash(0), 1.0);
        assert!(flash(FLASH_FRAMES - 1) > 0.0);
        assert!((FLASH_FRAMES..FRAME_RATE).all(|frame| flash(frame) == 0.0));
    }

    #[test]
    fn the_lamp_row_follows_the_frame() {
        let mut painter = Painter::prepare();
        let lamp = |canvas: &Canvas, lamp: usize| canvas.luma(TEXT_X + lamp * 13 + 4, 195);
        let canvas = painter.paint(Moment { frame_utc: NOON + 7, frame: 7 });
        assert!(lamp(canvas, 7) > lamp(canvas, 6) && lamp(canvas, 6) > lamp(canvas, 8));
        let canvas = painter.paint(Moment { frame_utc: NOON + 8, frame: 8 });
        assert!(lamp(canvas, 8) > lamp(canvas, 7));
    }
}
