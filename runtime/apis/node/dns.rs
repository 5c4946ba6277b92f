//! `dns`: the addresses of a name, looked up and judged as those of a subrequest.

use deno_core::op2;
use deno_core::v8;
use holm_isolate::Settle;
use holm_isolate::StateError;

use crate::fetch;
use crate::fetch::outbound::FetchError;
use crate::fetch::outbound::Lookup;
use crate::seam;

/// Characters of a name (RFC 1035, section 2.3.4).
const LONGEST: usize = 253;

/// Why nothing is looked up.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub enum LookupError {
    #[class(inherit)]
    #[error(transparent)]
    State(#[from] StateError),
    #[class(type)]
    #[error("{0}")]
    Name(#[from] FetchError),
}

/// Answers a promise of the addresses as texts. It counts as a subrequest.
#[op2]
pub fn op_node_lookup<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] name: &str,
) -> Result<v8::Local<'s, v8::Value>, LookupError> {
    let state = seam::state(scope)?;
    let outbound = fetch::outbound(&state)?;
    if name.is_empty() || name.len() > LONGEST {
        return Err(FetchError::Resolve.into());
    }
    state.charge_subrequest(owner)?;
    let (_, promise) = state.start(scope, owner, looked_up(outbound.lookup(name.to_owned())))?;
    Ok(promise)
}

async fn looked_up(lookup: Lookup) -> Settle {
    match lookup.await {
        Ok(addresses) => Box::new(move |scope, _state| {
            let addresses: Vec<_> =
                addresses.into_iter().map(|address| seam::text(scope, &address.to_string())).collect();
            Ok(seam::inner_list(scope, &addresses))
        }),
        Err(error) => seam::reject(error.to_string()),
    }
}
