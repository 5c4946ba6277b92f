//! The text format of Prometheus, version 0.0.4.

use std::fmt;
use std::fmt::Write;

use crate::Histogram;

/// What is sent as `content-type` with a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's samples mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// The samples of one name.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

/// Labels of one sample, in the order in which they are written.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

// === impl Page ===

impl Page {
    /// Its `content-type`.
    pub const CONTENT_TYPE: &'static str = CONTENT_TYPE;

    /// Begins a family; its samples follow at once.
    pub fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}\n", Escaped(help, Quotes::Plain));
        Family { text: &mut self.text, name }
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, kind: Kind, name: &'static str, help: &str, value: impl fmt::Display) {
        self.family(kind, name, help).sample(&[], value);
    }

    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

// === impl Family ===

impl Family<'_> {
    pub fn sample(&mut self, labels: Labels<'_>, value: impl fmt::Display) {
        self.write("", labels, None, value);
    }

    /// A sample in seconds, counted in nanoseconds.
    pub fn seconds(&mut self, labels: Labels<'_>, nanoseconds: u64) {
        self.sample(labels, Seconds(nanoseconds));
    }

    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        // The sum first: a bucket that is counted meanwhile must not make the average too high.
        let sum = histogram.sum_ns();
        let mut count = 0;
        for (bound, cumulative) in histogram.cumulative() {
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.write("_bucket", labels, Some(("le", &bound)), cumulative);
            count = cumulative;
        }
        self.write("_sum", labels, None, Seconds(sum));
        self.write("_count", labels, None, count);
    }

    fn write(&mut self, suffix: &str, labels: Labels<'_>, last: Option<(&str, &str)>, value: impl fmt::Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        let mut open = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            let _ = write!(self.text, "{open}{name}=\"{}\"", Escaped(value, Quotes::Escaped));
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Plain,
    Escaped,
}

/// A help text or a label's value: one line, and nothing of it ends the quotes.
struct Escaped<'a>(&'a str, Quotes);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 == Quotes::Escaped => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_has_help_type_and_samples() {
        let mut page = Page::default();
        page.single(Kind::Gauge, "a_gauge", "Two\nlines \\ and \"quotes\".", 7);
        let mut family = page.family(Kind::Counter, "b_total", "B.");
        family.sample(&[("worker", "a\"b\\c\nd"), ("outcome", "ok")], 1);
        family.seconds(&[], 1_500_000_001);
        const BOUNDS: &[Duration] = &[Duration::from_millis(5), Duration::from_secs(1)];
        let histogram = Histogram::new(BOUNDS);
        histogram.observe(Duration::from_millis(20));
        page.family(Kind::Histogram, "c_seconds", "C.").histogram(&[("worker", "a")], &histogram);
        assert_eq!(
            page.into_text(),
            r#"# HELP a_gauge Two\nlines \\ and "quotes".
# TYPE a_gauge gauge
a_gauge 7
# HELP b_total B.
# TYPE b_total counter
b_total{worker="a\"b\\c\nd",outcome="ok"} 1
b_total 1.500000001
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{worker="a",le="0.005"} 0
c_seconds_bucket{worker="a",le="1"} 1
c_seconds_bucket{worker="a",le="+Inf"} 1
c_seconds_sum{worker="a"} 0.020000000
c_seconds_count{worker="a"} 1
"#
        );
    }
}
