//! Which row of a table is chosen, while rows come, go and change places.

/// A row, by what it is; and where it was, for the time when it is gone.
#[derive(Debug)]
pub struct Picker<K> {
    chosen: Option<K>,
    place: usize,
}

impl<K> Default for Picker<K> {
    fn default() -> Self {
        Self { chosen: None, place: 0 }
    }
}

impl<K: Clone + PartialEq> Picker<K> {
    /// Where the chosen row is among these, if there are any.
    pub fn place(&self, rows: &[K]) -> Option<usize> {
        let found = rows.iter().position(|row| Some(row) == self.chosen.as_ref());
        found.or(rows.len().checked_sub(1).map(|last| self.place.min(last)))
    }

    /// The chosen row.
    pub fn chosen(&self, rows: &[K]) -> Option<K> {
        self.place(rows).map(|place| rows[place].clone())
    }

    /// So many rows down or up.
    pub fn step(&mut self, rows: &[K], by: isize) {
        let Some(place) = self.place(rows) else { return };
        self.place = place.saturating_add_signed(by).min(rows.len() - 1);
        self.chosen = rows.get(self.place).cloned();
    }

    /// The rows are others now: who has gone is followed by the neighbour.
    pub fn settle(&mut self, rows: &[K]) {
        self.step(rows, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_row_is_kept_and_a_neighbour_follows_it() {
        let mut picker = Picker::default();
        assert_eq!(picker.chosen(&[] as &[u64]), None);
        let rows = [1, 2, 3, 4];
        picker.step(&rows, 2);
        assert_eq!(picker.chosen(&rows), Some(3));
        picker.settle(&[3, 1]);
        assert_eq!(picker.place(&[3, 1]), Some(0));
        picker.settle(&rows);
        picker.settle(&[1, 2, 4]);
        assert_eq!(picker.chosen(&[1, 2, 4]), Some(4));
        picker.step(&[1, 2, 4], isize::MAX);
        assert_eq!(picker.chosen(&[1, 2, 4]), Some(4));
        picker.step(&[1, 2, 4], isize::MIN);
        assert_eq!(picker.chosen(&[1, 2, 4]), Some(1));
    }
}
