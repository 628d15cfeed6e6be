//! A Choice: which pictures are shown at a scale, and when (RFC 2326 section 12.34). Each of them is one that a decoder can start with; those
//! that would be too many, or too much, are passed over.

/// No two pictures are shown sooner after each other: of a source that has eight in that time and more there are four a second at least.
const APART_US: u64 = 125_000;

/// Where it is in what was kept, and when that is.
#[derive(Debug)]
pub(super) struct Choice {
    /// By so much it goes faster than it came; backwards where that is negative.
    scale: i8,
    /// The first picture came then, in microseconds since 1970.
    origin_us: u64,
    /// When the newest one was shown, in microseconds since the first one was, and when the next may be.
    shown_us: u64,
    free_us: u64,
}

impl Choice {
    /// The first picture came then, and is shown.
    pub fn new(scale: i8, origin_us: u64) -> Self {
        Self { scale, origin_us, shown_us: 0, free_us: 0 }
    }

    pub fn is_backwards(&self) -> bool {
        self.scale < 0
    }

    /// The next picture is the first that came no earlier, backwards the last that came no later. `None`: no time is there.
    pub fn wanted_us(&self) -> Option<u64> {
        let passed = self.free_us.checked_mul(self.times())?;
        match self.is_backwards() {
            true => self.origin_us.checked_sub(passed),
            false => self.origin_us.checked_add(passed),
        }
    }

    /// Whether what came then is the next one, and not one that was.
    pub fn takes(&self, came_us: u64) -> bool {
        let is_it = |wanted| if self.is_backwards() { came_us <= wanted } else { came_us >= wanted };
        self.wanted_us().is_some_and(is_it)
    }

    /// When what came then is shown, in microseconds since the first one was.
    pub fn due_us(&self, came_us: u64) -> u64 {
        self.origin_us.abs_diff(came_us) / self.times()
    }

    /// One of so many bytes is shown that came then; so many a second are to be had. Returns how much later that is than the one before.
    pub fn show(&mut self, came_us: u64, bytes: u64, bytes_per_second: u64) -> u64 {
        let due_us = self.due_us(came_us);
        let takes_us = bytes.saturating_mul(1_000_000).checked_div(bytes_per_second).unwrap_or(0);
        let passed_us = due_us.saturating_sub(self.shown_us);
        (self.shown_us, self.free_us) = (due_us, due_us.saturating_add(takes_us.max(APART_US)));
        passed_us
    }

    fn times(&self) -> u64 {
        u64::from(self.scale.unsigned_abs()).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// The pictures of a minute that has one in so many microseconds, and when they are shown: of so many bytes each, of 100,000 a second.
    fn shown(scale: i8, every_us: u64, bytes: u64) -> Vec<(u64, u64)> {
        let origin = if scale < 0 { 60 * SECOND } else { 0 };
        let pictures: Vec<_> = (0..=60 * SECOND / every_us).map(|number| number * every_us).collect();
        let mut choice = Choice::new(scale, origin);
        let (mut shown, mut next) = (Vec::new(), Some(origin));
        while let Some(came) = next.filter(|_| shown.len() <= pictures.len()) {
            choice.show(came, bytes, 100_000);
            shown.push((came, choice.due_us(came)));
            let wanted = |came: &&u64| choice.takes(**came);
            next =
                if scale < 0 { pictures.iter().rfind(wanted) } else { pictures.iter().find(wanted) }.copied();
        }
        shown
    }

    #[test]
    fn all_pictures_are_shown_where_they_are_few_and_as_much_sooner_as_was_asked_for() {
        assert_eq!(shown(2, 20 * SECOND, 0), [0, 20, 40, 60].map(|came| (came * SECOND, came * SECOND / 2)));
        let back = [60, 40, 20, 0].map(|came| (came * SECOND, (60 - came) * SECOND / 4));
        assert_eq!(shown(-4, 20 * SECOND, 0), back);
        assert_eq!(shown(4, SECOND, 0).len(), 61, "four a second");
    }

    #[test]
    fn where_they_are_many_there_are_four_a_second_or_more_and_no_more_than_eight() {
        for scale in [2, 4, 8, 16, -2, -16] {
            for every_us in [40_000, 480_000, 500_000, 900_000] {
                let times: Vec<_> = shown(scale, every_us, 0).into_iter().map(|(_, at)| at).collect();
                let apart = times.windows(2).map(|two| two[1] - two[0]);
                let sparse = every_us / u64::from(scale.unsigned_abs());
                let bounds = APART_US..=sparse.max(2 * APART_US);
                assert!(apart.clone().all(|apart| bounds.contains(&apart)), "{scale} {every_us}: {times:?}");
            }
        }
    }

    #[test]
    fn they_take_no_more_than_is_to_be_had() {
        let times: Vec<_> = shown(16, SECOND, 50_000).into_iter().map(|(_, at)| at).collect();
        assert!(times.windows(2).all(|two| two[1] - two[0] == SECOND / 2), "{times:?}");
    }

    #[test]
    fn how_much_later_each_is_adds_up_to_when_it_is() {
        let mut choice = Choice::new(-8, 9 * SECOND);
        assert_eq!(choice.show(9 * SECOND, 1, 1000), 0);
        assert_eq!(
            [choice.show(8 * SECOND, 1, 1000), choice.show(6 * SECOND, 1, 0)],
            [SECOND / 8, SECOND / 4]
        );
    }
}
