//! Via (RFC 2326 section 12.43): which programs of our kind a request is made for. Who finds itself there would wait for itself.

use rtsp_types::StatusCode;

/// A request has come round to where it was made. The number is SIP's.
pub const LOOP_DETECTED: StatusCode = StatusCode::Extension(482);
/// What its phrase is.
pub const LOOP_PHRASE: &str = "Loop Detected";
/// Programs that are named in a header.
pub const MOST_INSTANCES: usize = 32;

const KIND: &str = "mirrorball-";
const LONGEST: usize = 32;

/// The header of a request that these make, one for another.
#[must_use]
pub fn via<'i>(instances: impl IntoIterator<Item = &'i str>) -> String {
    let entries =
        instances.into_iter().take(MOST_INSTANCES).map(|instance| format!("RTSP/1.0 {KIND}{instance}"));
    entries.collect::<Vec<_>>().join(", ")
}

/// Those of our kind that a header names.
pub fn instances(via: &str) -> impl Iterator<Item = &str> {
    let named = via.split(',').filter_map(|entry| entry.split_whitespace().nth(1)?.strip_prefix(KIND));
    let is_one = |name: &&str| name.len() <= LONGEST && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    named.filter(is_one).take(MOST_INSTANCES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_our_kind_are_read_back_and_no_more_than_some() {
        let header =
            format!("RTSP/1.0 proxy.example (x), {}, x, RTSP/1.0 mirrorball-no!hex", via(["c0ffee", "7"]));
        assert_eq!(instances(&header).collect::<Vec<_>>(), ["c0ffee", "7"]);
        assert_eq!(instances(&via(std::iter::repeat_n("1", 99))).count(), MOST_INSTANCES);
        assert_eq!(instances(&format!("RTSP/1.0 {KIND}{}, ", "a".repeat(33))).count(), 0);
    }
}
