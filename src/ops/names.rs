//! Names as they are told where there may be thousands.

/// Names, so many of them at most, and how many more there are.
pub fn list<N: AsRef<str>>(names: &[N], most: usize) -> String {
    let named: Vec<_> = names.iter().take(most).map(AsRef::as_ref).collect();
    let named = named.join(", ");
    match names.len().saturating_sub(most) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
