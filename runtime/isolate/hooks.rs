//! The JavaScript functions that the loop calls. The shims leave them in one object on the global while the snapshot is
//! made; they are taken off before any worker's code runs.

use deno_core::v8;

/// The object's name on the global, until it is taken.
const NAME: &str = "__holm";

pub(crate) struct Hooks {
    pub(crate) configure: v8::Global<v8::Function>,
    pub(crate) start: v8::Global<v8::Function>,
    pub(crate) bind_globals: v8::Global<v8::Function>,
    pub(crate) built_in_module: v8::Global<v8::Function>,
    pub(crate) fetch: v8::Global<v8::Function>,
    pub(crate) scheduled: v8::Global<v8::Function>,
    pub(crate) client_gone: v8::Global<v8::Function>,
    pub(crate) ended: v8::Global<v8::Function>,
    pub(crate) fire_timer: v8::Global<v8::Function>,
    pub(crate) rejection: v8::Global<v8::Function>,
    pub(crate) rejection_handled: v8::Global<v8::Function>,
}

/// The snapshot and this crate do not belong together.
#[derive(Debug, thiserror::Error)]
#[error("the start-up snapshot has no hook `{0}`")]
pub(crate) struct MissingHook(&'static str);

// === impl Hooks ===

impl Hooks {
    pub(crate) fn take(scope: &mut v8::PinScope<'_, '_>) -> Result<Self, MissingHook> {
        let context = scope.get_current_context();
        let global = context.global(scope);
        let key = v8::String::new(scope, NAME).ok_or(MissingHook(NAME))?;
        let object = global.get(scope, key.into()).and_then(|value| value.to_object(scope)).ok_or(MissingHook(NAME))?;
        global.delete(scope, key.into());
        let hook = |scope: &mut v8::PinScope<'_, '_>, name: &'static str| {
            let key = v8::String::new(scope, name).ok_or(MissingHook(name))?;
            let value = object.get(scope, key.into()).ok_or(MissingHook(name))?;
            let function = v8::Local::<v8::Function>::try_from(value).map_err(|_| MissingHook(name))?;
            Ok(v8::Global::new(scope, function))
        };
        // What the engine adds to the global only at run time is taken off before any worker's code runs.
        let prepare = hook(scope, "prepare")?;
        let prepare = v8::Local::new(scope, prepare);
        let this = v8::undefined(scope).into();
        prepare.call(scope, this, &[]).ok_or(MissingHook("prepare"))?;
        Ok(Self {
            configure: hook(scope, "configure")?,
            start: hook(scope, "start")?,
            bind_globals: hook(scope, "bindGlobals")?,
            built_in_module: hook(scope, "builtInModule")?,
            fetch: hook(scope, "fetch")?,
            scheduled: hook(scope, "scheduled")?,
            client_gone: hook(scope, "clientGone")?,
            ended: hook(scope, "ended")?,
            fire_timer: hook(scope, "fireTimer")?,
            rejection: hook(scope, "rejection")?,
            rejection_handled: hook(scope, "rejectionHandled")?,
        })
    }
}
