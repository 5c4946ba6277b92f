//! `compatibility_date` and `compatibility_flags` ("Compatibility dates" of the Workers platform).

use time::macros::format_description;
use time::{Date, format_description::BorrowedFormatItem};

use super::decode_settings::Settings;
use crate::decode::{At, Decode, Report, suggest};
use crate::flags::{self, Default, Effect};

const FORMAT: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

pub(crate) fn parse_date(text: &str) -> Option<Date> {
    Date::parse(text, FORMAT).ok()
}

pub(super) fn date(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(text) = String::decode(at, report) else {
        // Said once: a second complaint about a missing date would only hide the first.
        settings.compatibility_date = Some(settings.today);
        return;
    };
    let parsed = parse_date(&text);
    settings.compatibility_date = Some(parsed.unwrap_or(settings.today));
    match parsed {
        None if text.contains(['–', '—']) => {
            report.error(at, format!("`{}` has a dash where a hyphen belongs", at.key), "write it as YYYY-MM-DD");
        }
        None => report.error(
            at,
            format!("`{}` must be a date like 2026-01-31, found \"{text}\"", at.key),
            "write it as YYYY-MM-DD",
        ),
        Some(date) if date > settings.today => report.error(
            at,
            format!("`{}` is in the future: today is {}", at.key, settings.today),
            format!("use \"{}\" or an earlier date", settings.today),
        ),
        Some(_) => {}
    }
}

pub(super) fn flags(at: &At<'_>, settings: &mut Settings, report: &mut Report<'_>) {
    let Some(items) = at.items(report) else {
        return;
    };
    let mut seen: Vec<(String, &'static str, bool)> = Vec::new();
    for item in items {
        let Some(name) = String::decode(&item, report) else {
            continue;
        };
        let Some(asked) = flags::lookup(&name) else {
            let help = match suggest(&name, flags::names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "remove it, or check its spelling".to_owned(),
            };
            report.error(&item, format!("there is no compatibility flag `{name}`"), help);
            continue;
        };
        match seen.iter().find(|(_, flag, _)| *flag == asked.flag.name) {
            Some((_, _, on)) if *on == asked.on => {
                report.error(&item, format!("the compatibility flag `{name}` is given twice"), "keep one of the two");
            }
            Some((other, ..)) => report.error(
                &item,
                format!("the compatibility flags `{other}` and `{name}` contradict each other"),
                "keep one of the two",
            ),
            None => {}
        }
        note(&item, &name, asked, report);
        seen.push((name, asked.flag.name, asked.on));
    }
    settings.compatibility_flags = seen.into_iter().map(|(name, ..)| name).collect();
}

/// What the author should know about a flag that is spelled well.
fn note(at: &At<'_>, name: &str, asked: flags::Asked, report: &mut Report<'_>) {
    let missing = match flags::effect(asked.flag.name) {
        Effect::Always(reason) if !asked.on => Some(reason),
        Effect::Never(reason) | Effect::NotApplicable(reason) if asked.on && asked.flag.name != "python_workers" => {
            Some(reason)
        }
        _ => None,
    };
    if let Some(reason) = missing {
        report.warn(at, format!("`{name}` has no effect: {reason}"), "remove it to silence this warning");
        return;
    }
    if !asked.on {
        return;
    }
    match asked.flag.name {
        "python_workers" => report.error(at, "Python workers are not supported yet", "remove the flag"),
        _ if asked.flag.default == Default::Experimental => report.warn(
            at,
            format!("`{name}` is experimental: what it does may change"),
            "remove it unless the worker depends on it",
        ),
        _ => {}
    }
}
