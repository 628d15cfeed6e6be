//! Whether the kernel drops what is sent to groups, because it would answer the sender by another interface.

use std::collections::BTreeMap;

use crate::ingest::{dropped_on_the_way, perhaps_in_the_way};
use crate::net::reverse_path_filter;

use super::finding::{Area, Finding, State};
use super::place::Place;
use super::receptions::{Reception, told_once};

/// A finding for each interface, or for each sender that is not heard there.
pub fn look(receptions: &[Reception]) -> Vec<Finding> {
    let mut places = BTreeMap::<&str, (&Place, Vec<&Reception>)>::new();
    for reception in receptions.iter().filter(|reception| reception.group.is_ipv4()) {
        if let Some(place) = reception.place.as_ref().ok().filter(|place| place.index != 0) {
            places.entry(&place.name).or_insert_with(|| (place, Vec::new())).1.push(reception);
        }
    }
    places.into_values().flat_map(|(place, receptions)| of_place(place, &receptions)).collect()
}

fn of_place(place: &Place, receptions: &[&Reception]) -> Vec<Finding> {
    let (index, name) = (place.index, &place.name);
    let dropped = receptions.iter().flat_map(|reception| {
        let reasons = dropped_on_the_way(index, name, &reception.filter);
        reasons.into_iter().map(|reason| (*reception, reason))
    });
    let dropped = told_once(dropped);
    let is_of_others = name != "lo";
    let perhaps = receptions
        .iter()
        .filter(|_| is_of_others)
        .find_map(|reception| perhaps_in_the_way(name, reception.group, &reception.filter));
    let new = |state, said: &str| Finding::new(Area::RpFilter, name, state, said);
    if dropped.is_empty() && perhaps.is_none() {
        let filter = reverse_path_filter(name);
        return vec![new(State::Ok, &format!("rp_filter is {filter}, in nobody's way"))];
    }
    let dropped = dropped.iter().map(|said| new(State::Fail, said));
    dropped.chain(perhaps.map(|said| new(State::Note, &said))).collect()
}
