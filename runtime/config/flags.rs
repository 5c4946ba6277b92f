//! Compatibility flags: which behaviours a compatibility date and explicit flags select ("Compatibility dates" of the
//! Workers platform).
//!
//! Invariant: the result of [`resolve`] has every known flag. Checked by the project's configuration; read by the
//! isolate's set-up.

use std::collections::BTreeMap;

use time::Date;

mod effects;
mod table;

pub use effects::{Effect, effect};
pub use table::FLAGS;

/// When a flag is on without being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// From this compatibility date on.
    From(Date),
    /// While another flag is on, from this compatibility date on.
    With(&'static str, Date),
    /// Only when named.
    OptIn,
    /// Only when named, and its behaviour may still change.
    Experimental,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Turns the behaviour on.
    pub name: &'static str,
    /// Turns it off.
    pub off: &'static str,
    pub default: Default,
}

/// What a name in `compatibility_flags` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub flag: &'static Flag,
    pub on: bool,
}

/// The flag that `name` turns on or off.
#[must_use]
pub fn lookup(name: &str) -> Option<Asked> {
    FLAGS.iter().find_map(|flag| {
        if flag.name == name {
            Some(Asked { flag, on: true })
        } else if flag.off == name {
            Some(Asked { flag, on: false })
        } else {
            None
        }
    })
}

/// Every known flag, on or off. Names that are not known are left out; the configuration has refused them before.
#[must_use]
pub fn resolve(date: Date, names: &[String]) -> BTreeMap<&'static str, bool> {
    let mut resolved = BTreeMap::new();
    for flag in FLAGS {
        let on = matches!(flag.default, Default::From(from) if from <= date);
        resolved.insert(flag.name, on);
    }
    for asked in names.iter().filter_map(|name| lookup(name)) {
        resolved.insert(asked.flag.name, asked.on);
    }
    // The table has a flag after the one it follows, so that one pass is enough.
    for flag in FLAGS {
        let Default::With(other, from) = flag.default else {
            continue;
        };
        let named = names.iter().any(|name| name == flag.name || name == flag.off);
        if !named {
            let on = from <= date && resolved.get(other).copied().unwrap_or(false);
            resolved.insert(flag.name, on);
        }
    }
    resolved
}

/// All names that `compatibility_flags` may hold.
pub fn names() -> impl Iterator<Item = &'static str> {
    FLAGS.iter().flat_map(|flag| [flag.name, flag.off])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use time::macros::date;

    use super::*;

    fn named(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_name_is_there_once() {
        let all: Vec<&str> = names().collect();
        let unique: BTreeSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), unique.len());
    }

    #[test]
    fn what_a_flag_does_is_said_once_and_of_flags_that_exist() {
        let mut said = BTreeSet::new();
        for (name, _) in effects::EFFECTS {
            assert!(said.insert(name), "`{name}` is there twice");
            assert!(FLAGS.iter().any(|flag| flag.name == *name), "there is no flag `{name}`");
        }
        assert_eq!(effect("url_standard"), Effect::Always("URLs are those of the standard"));
        assert_eq!(effect("enable_weak_ref"), Effect::Switch);
    }

    #[test]
    fn a_flag_follows_one_that_stands_before_it() {
        for (index, flag) in FLAGS.iter().enumerate() {
            if let Default::With(other, _) = flag.default {
                assert!(FLAGS[..index].iter().any(|earlier| earlier.name == other), "{}", flag.name);
            }
        }
    }

    #[test]
    fn a_date_turns_on_what_is_older() {
        let before = resolve(date!(2022 - 03 - 20), &[]);
        let on = resolve(date!(2022 - 03 - 21), &[]);
        assert!(!before["global_navigator"]);
        assert!(on["global_navigator"]);
        assert_eq!(on.len(), FLAGS.len());
    }

    #[test]
    fn an_explicit_flag_beats_the_date() {
        let resolved =
            resolve(date!(2020 - 01 - 01), &named(&["url_standard", "formdata_parser_converts_files_to_strings"]));
        assert!(resolved["url_standard"]);
        let resolved = resolve(date!(2026 - 01 - 01), &named(&["url_original"]));
        assert!(!resolved["url_standard"]);
    }

    #[test]
    fn nodejs_compat_brings_its_parts_from_their_dates_on() {
        let names = named(&["nodejs_compat"]);
        let old = resolve(date!(2024 - 09 - 22), &names);
        assert!(old["nodejs_compat"] && !old["nodejs_compat_v2"]);
        let new = resolve(date!(2025 - 09 - 15), &names);
        assert!(new["nodejs_compat_v2"] && new["enable_nodejs_fs_module"] && new["enable_nodejs_http_server_modules"]);
        let without = resolve(date!(2025 - 09 - 15), &[]);
        assert!(!without["enable_nodejs_fs_module"]);
        let partly = resolve(date!(2025 - 09 - 15), &named(&["nodejs_compat", "disable_nodejs_fs_module"]));
        assert!(!partly["enable_nodejs_fs_module"] && partly["enable_nodejs_os_module"]);
    }

    #[test]
    fn nodejs_compat_is_on_for_the_newest_dates() {
        assert!(!resolve(date!(2026 - 08 - 03), &[])["nodejs_compat"]);
        assert!(resolve(date!(2026 - 08 - 04), &[])["nodejs_compat"]);
    }
}
