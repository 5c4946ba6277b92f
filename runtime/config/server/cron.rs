//! Reading `[cron]`, and `cron` of one `[[worker]]`.

use std::path::Path;

use holm_cron::{Missed, Overlap, Policy};

use super::Cron;
use crate::decode::{At, Fields, Report};

const MISSED: [(&str, Missed); 2] = [("skip", Missed::Skip), ("run-once", Missed::RunOnce)];
const OVERLAP: [(&str, Overlap); 2] = [("skip", Overlap::Skip), ("allow", Overlap::Allow)];

pub(super) fn server(at: &At<'_>, directory: &Path, report: &mut Report<'_>) -> Cron {
    let Some(mut fields) = Fields::new(at, report) else { return Cron::default() };
    let state: Option<String> = fields.optional("state", report);
    let policy = policy(&mut fields, Policy::default(), report);
    fields.finish(report);
    Cron { state: state.map(|state| directory.join(state)), policy }
}

pub(super) fn worker(at: &At<'_>, server: Policy, report: &mut Report<'_>) -> Policy {
    let Some(mut fields) = Fields::new(at, report) else { return server };
    let policy = policy(&mut fields, server, report);
    fields.finish(report);
    policy
}

fn policy(fields: &mut Fields<'_>, default: Policy, report: &mut Report<'_>) -> Policy {
    Policy {
        missed: fields.at("missed").and_then(|at| at.one_of(&MISSED, report)).unwrap_or(default.missed),
        overlap: fields.at("overlap").and_then(|at| at.one_of(&OVERLAP, report)).unwrap_or(default.overlap),
    }
}
