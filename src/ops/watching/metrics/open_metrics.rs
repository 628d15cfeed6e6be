//! OpenMetrics 1.0: families as text, counters under their names without `_total`, and a mark where it ends, so that half of a
//! scrape is not taken for all of it.

use std::fmt::{self, Display, Write};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// Of the format.
pub(super) const VERSION: &str = "1.0.0";
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All of it. A kind of metric that there is none of here is left out.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        // Writing to a string does not fail.
        let _ = write_family(&mut text, family);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(text: &mut String, family: &MetricFamily) -> fmt::Result {
    let (kind, name) = match family.get_field_type() {
        MetricType::COUNTER => ("counter", family.name().trim_end_matches("_total")),
        MetricType::GAUGE => ("gauge", family.name()),
        MetricType::HISTOGRAM => ("histogram", family.name()),
        _ => return Ok(()),
    };
    writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", Escaped(family.help()))?;
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match kind {
            "counter" => sample(text, (name, "_total"), labels, None, metric.get_counter().get_value())?,
            "gauge" => sample(text, (name, ""), labels, None, metric.get_gauge().get_value())?,
            _ => histogram(text, name, metric)?,
        }
    }
    Ok(())
}

fn histogram(text: &mut String, name: &str, metric: &Metric) -> fmt::Result {
    let (labels, histogram) = (metric.get_label(), metric.get_histogram());
    let count = histogram.get_sample_count() as f64;
    for bucket in histogram.get_bucket() {
        let below = bucket.upper_bound();
        sample(text, (name, "_bucket"), labels, Some(below), bucket.cumulative_count() as f64)?;
    }
    sample(text, (name, "_bucket"), labels, Some(f64::INFINITY), count)?;
    sample(text, (name, "_sum"), labels, None, histogram.get_sample_sum())?;
    sample(text, (name, "_count"), labels, None, count)
}

fn sample(
    text: &mut String,
    (name, suffix): (&str, &str),
    labels: &[LabelPair],
    below: Option<f64>,
    value: f64,
) -> fmt::Result {
    write!(text, "{name}{suffix}")?;
    let mut before = '{';
    for label in labels {
        write!(text, "{before}{}=\"{}\"", label.name(), Escaped(label.value()))?;
        before = ',';
    }
    match below {
        Some(f64::INFINITY) => write!(text, "{before}le=\"+Inf\"}}")?,
        // With a point, as all others write the same bound.
        Some(below) if below.fract() == 0.0 => write!(text, "{before}le=\"{below:.1}\"}}")?,
        Some(below) => write!(text, "{before}le=\"{below}\"}}")?,
        None if before == ',' => text.push('}'),
        None => {}
    }
    writeln!(text, " {value}")
}

/// Text between quotes.
struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::families::Families;
    use super::*;
    use crate::event::{BOUNDS_SECONDS, Histogram};
    use std::time::Duration;

    #[test]
    fn each_kind_is_written_as_the_format_has_it() {
        let mut families = Families::default();
        families.counter("a_b_total", "How \"often\".\\", &[], 7);
        families.seconds(
            "c_seconds_total",
            "Time.",
            &[("x", "1"), ("y", "a\"b\\\n")],
            Duration::from_millis(1500),
        );
        families.gauge("d", "Some.", &[], -0.25);
        let text = encode(&families.into_sorted());
        let expected = "# HELP a_b How \\\"often\\\".\\\\\n# TYPE a_b counter\na_b_total 7\n\
                        # HELP c_seconds Time.\n# TYPE c_seconds counter\nc_seconds_total{x=\"1\",y=\"a\\\"b\\\\\\n\"} 1.5\n\
                        # HELP d Some.\n# TYPE d gauge\nd -0.25\n# EOF\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_histogram_has_all_its_buckets_the_last_one_without_bound() {
        let mut reading = Histogram::default();
        reading.observe(Duration::from_millis(3));
        let mut families = Families::default();
        families.histogram("e_seconds", "Time.", &[("q", "media")], &reading);
        let text = encode(&families.into_sorted());
        let buckets: Vec<_> =
            text.lines().filter(|line| line.starts_with("e_seconds_bucket{q=\"media\",le=\"")).collect();
        assert_eq!(buckets.len(), BOUNDS_SECONDS.len() + 1, "{text}");
        assert_eq!(buckets.last(), Some(&"e_seconds_bucket{q=\"media\",le=\"+Inf\"} 1"));
        assert!(buckets.iter().all(|line| line.contains('.') || line.contains("+Inf")), "{text}");
        assert!(
            text.ends_with("e_seconds_sum{q=\"media\"} 0.003\ne_seconds_count{q=\"media\"} 1\n# EOF\n"),
            "{text}"
        );
    }
}
