//! One entry of `triggers.crons`.
//!
//! Five fields, as on the platform: minute, hour, day of the month, month, day of the week, with lists, ranges, steps, names, and
//! Quartz's `L`, `W` and `#`; a week's first day is Sunday and has the number 1. A leading `CRON_TZ=Area/City` is ours: without
//! it, times are UTC.
//! Source: <https://developers.cloudflare.com/workers/configuration/cron-triggers/>

use std::fmt;
use std::sync::Arc;

use croner::Cron;
use croner::parser::CronParser;
use croner::parser::Seconds;
use croner::parser::Year;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::Serialize;

const ZONE: &str = "CRON_TZ=";
const FIELDS: usize = 5;

/// When a worker's `scheduled()` is to run.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Trigger {
    text: Arc<str>,
    pattern: Arc<Cron>,
    zone: TimeZone,
}

/// Why a text is no trigger, and what to write instead. The author's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    #[error(
        "the expression has {0} fields; write five: minute, hour, day of the month, month, day of the week, like \"*/5 * * * *\""
    )]
    Fields(usize),
    #[error("{0}; the fields are minute, hour, day of the month, month and day of the week (1 or SUN to 7 or SAT)")]
    Pattern(String),
    #[error("\"{0}\" is no time zone that is known; write a name of the IANA database, like CRON_TZ=Europe/Berlin")]
    Zone(String),
    #[error("no time matches the expression, so it would never run")]
    Never,
}

// === impl Trigger ===

impl Trigger {
    /// # Errors
    /// When the text is no expression, or one that never comes true.
    pub fn parse(text: &str) -> Result<Self, TriggerError> {
        let text = text.trim();
        let (zone, fields) = match text.strip_prefix(ZONE) {
            Some(rest) => {
                let (name, fields) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let zone = TimeZone::get(name).map_err(|_| TriggerError::Zone(name.to_owned()))?;
                (zone, fields)
            }
            None => (TimeZone::UTC, text),
        };
        // The parser's own names for whole expressions ("@daily") are not the platform's.
        let count = fields.split_whitespace().count();
        if count != FIELDS {
            return Err(TriggerError::Fields(count));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .alternative_weekdays(true)
            .build();
        let pattern = parser.parse(fields).map_err(|error| TriggerError::Pattern(error.to_string()))?;
        let trigger = Self { text: text.into(), pattern: Arc::new(pattern), zone };
        trigger.next_after(0).ok_or(TriggerError::Never)?;
        Ok(trigger)
    }

    /// As its author wrote it: `controller.cron`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time after `ms` that matches. `None`: there is none.
    ///
    /// A time that a change of the clocks leaves out is moved to the first one after it; of one that comes twice, the first is
    /// meant, unless the hour is `*`.
    #[must_use]
    pub fn next_after(&self, ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(ms).ok()?.to_zoned(self.zone.clone());
        let next = self.pattern.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp().as_millisecond())
    }
}

impl TryFrom<String> for Trigger {
    type Error = TriggerError;

    fn try_from(text: String) -> Result<Self, TriggerError> {
        Self::parse(&text)
    }
}

impl From<Trigger> for String {
    fn from(trigger: Trigger) -> Self {
        trigger.text.as_ref().to_owned()
    }
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trigger").field(&self.text).finish()
    }
}

impl PartialEq for Trigger {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Trigger {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: &str) -> i64 {
        time.parse::<Timestamp>().unwrap().as_millisecond()
    }

    /// The first times after `from`.
    fn times(expression: &str, from: &str, count: usize) -> Vec<String> {
        let trigger = Trigger::parse(expression).unwrap();
        let mut at = ms(from);
        (0..count)
            .map(|_| {
                at = trigger.next_after(at).unwrap();
                Timestamp::from_millisecond(at).unwrap().to_string()
            })
            .collect()
    }

    #[test]
    fn an_expression_says_the_times_of_the_platform() {
        let from = "2026-03-06T10:02:30Z";
        for (expression, expected) in [
            ("*/5 * * * *", ["2026-03-06T10:05:00Z", "2026-03-06T10:10:00Z"]),
            ("0 17 * * sun", ["2026-03-08T17:00:00Z", "2026-03-15T17:00:00Z"]),
            // Sunday is 1.
            ("0 17 * * 1", ["2026-03-08T17:00:00Z", "2026-03-15T17:00:00Z"]),
            ("10 7 * * MON-FRI", ["2026-03-09T07:10:00Z", "2026-03-10T07:10:00Z"]),
            ("0 15 1 * *", ["2026-04-01T15:00:00Z", "2026-05-01T15:00:00Z"]),
            ("59 23 L * *", ["2026-03-31T23:59:00Z", "2026-04-30T23:59:00Z"]),
            ("0 18 * * 6L", ["2026-03-27T18:00:00Z", "2026-04-24T18:00:00Z"]),
            ("0 9 * * 2#2", ["2026-03-09T09:00:00Z", "2026-04-13T09:00:00Z"]),
            ("0 9 15W * *", ["2026-03-16T09:00:00Z", "2026-04-15T09:00:00Z"]),
            ("0 0 29 2 *", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ] {
            assert_eq!(times(expression, from, 2), expected, "{expression}");
        }
    }

    #[test]
    fn a_zone_follows_the_clocks_of_its_place() {
        // The clocks of Berlin go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25.
        let nine = "CRON_TZ=Europe/Berlin 0 9 * * *";
        assert_eq!(times(nine, "2026-03-28T00:00:00Z", 2), ["2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z"]);
        let left_out = "CRON_TZ=Europe/Berlin 30 2 * * *";
        assert_eq!(times(left_out, "2026-03-28T12:00:00Z", 2), ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        assert_eq!(times(left_out, "2026-10-24T12:00:00Z", 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let each_half_hour = "CRON_TZ=Europe/Berlin */30 * * * *";
        assert_eq!(
            times(each_half_hour, "2026-10-25T00:20:00Z", 3),
            ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"]
        );
    }

    #[test]
    fn a_mistake_is_an_error_that_says_what_to_write() {
        for (expression, expected) in [
            ("", "five: minute, hour"),
            ("* * * *", "has 4 fields"),
            ("* * * * * *", "has 6 fields"),
            ("@daily", "has 1 fields"),
            ("61 * * * *", "the fields are"),
            ("* * * * 8", "the fields are"),
            ("x * * * *", "the fields are"),
            ("0 0 31 2 *", "never run"),
            ("CRON_TZ=Europe/Atlantis * * * * *", "Europe/Berlin"),
            ("CRON_TZ=Europe/Berlin", "has 0 fields"),
        ] {
            let error = Trigger::parse(expression).unwrap_err().to_string();
            assert!(error.contains(expected), "{expression}: {error}");
        }
    }
}
