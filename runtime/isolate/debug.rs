//! Debugging an isolate: sessions of the engine's inspector, which speak the Chrome DevTools Protocol.
//!
//! Only where a worker's author runs it (`holm dev --inspector-port`). The inspector's messages are read in ambient turns and,
//! while JavaScript runs, in interrupts; a breakpoint parks the isolate's thread within its turn until the debugger goes on.
//! While a session is open the limits of time do not hold: what the debugger does, and what is looked at while nothing moves,
//! is nobody's use.
//! Source: <https://chromedevtools.github.io/devtools-protocol/v8/>

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use deno_core::InspectorMsg;
use deno_core::InspectorSessionChannels;
use deno_core::InspectorSessionKind;
use deno_core::InspectorSessionProxy;
use deno_core::v8;
use futures::StreamExt;
use futures::channel::mpsc;

/// CPU time of a turn while a debugger is there.
pub(crate) const DEBUGGED_CPU: Duration = Duration::from_secs(24 * 3600);

/// Whoever debugs the isolates that are started with it.
pub trait Debugger: Send + Sync {
    /// An isolate has become one of a worker; its modules are not evaluated yet. Called on its thread.
    fn opened(&self, target: DebugTarget);

    /// The URL of the directory that the sources in source maps are relative to, with a slash at its end. `None`: nothing is to
    /// be debugged.
    fn source_root(&self) -> Option<String>;
}

/// An isolate that can be debugged.
#[derive(Clone, Debug)]
pub struct DebugTarget {
    worker: String,
    sessions: mpsc::UnboundedSender<InspectorSessionProxy>,
}

/// One debugger at one isolate.
#[derive(Debug)]
pub struct DebugSession {
    commands: mpsc::UnboundedSender<String>,
    messages: mpsc::UnboundedReceiver<InspectorMsg>,
}

// === impl DebugTarget ===

impl DebugTarget {
    pub(crate) const fn new(worker: String, sessions: mpsc::UnboundedSender<InspectorSessionProxy>) -> Self {
        Self { worker, sessions }
    }

    /// The worker's name.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// The isolate is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.sessions.is_closed()
    }

    /// `None` once the isolate has gone.
    #[must_use]
    pub fn connect(&self) -> Option<DebugSession> {
        let (commands, rx) = mpsc::unbounded();
        let (tx, messages) = mpsc::unbounded();
        let proxy = InspectorSessionProxy {
            channels: InspectorSessionChannels::Regular { tx, rx },
            kind: InspectorSessionKind::NonBlocking { wait_for_disconnect: false },
        };
        self.sessions.unbounded_send(proxy).ok()?;
        Some(DebugSession { commands, messages })
    }
}

// === impl DebugSession ===

impl DebugSession {
    /// Gives the isolate a command, in JSON. Lost once the isolate has gone.
    pub fn send(&self, command: String) {
        let _ = self.commands.unbounded_send(command);
    }

    /// The next answer or event, in JSON; `None` once the isolate has gone.
    pub async fn next(&mut self) -> Option<String> {
        self.messages.next().await.map(|message| message.content)
    }
}

/// What of `console` a debugger sees.
const CONSOLE: [&str; 13] = [
    "assert",
    "debug",
    "dir",
    "dirxml",
    "error",
    "group",
    "groupCollapsed",
    "groupEnd",
    "info",
    "log",
    "table",
    "trace",
    "warn",
];

/// Lets what a worker logs be seen in the debugger, too: there the engine's own `console` shows it.
pub(crate) fn share_console(scope: &mut v8::PinScope<'_, '_>) -> Option<()> {
    let context = scope.get_current_context();
    let name = v8::String::new(scope, "console")?;
    let engines = context.get_extras_binding_object(scope).get(scope, name.into())?.to_object(scope)?;
    let workers = context.global(scope).get(scope, name.into())?.to_object(scope)?;
    for method in CONSOLE {
        let key = v8::String::new(scope, method)?;
        let both = [engines.get(scope, key.into())?, workers.get(scope, key.into())?];
        let both = v8::Array::new_with_elements(scope, &both);
        let function = v8::Function::builder(log_to_both).data(both.into()).build(scope)?;
        function.set_name(key);
        workers.set(scope, key.into(), function.into());
    }
    Some(())
}

fn log_to_both(scope: &mut v8::PinScope<'_, '_>, args: v8::FunctionCallbackArguments<'_>, _: v8::ReturnValue<'_>) {
    let Ok(both) = v8::Local::<v8::Array>::try_from(args.data()) else { return };
    let values: Vec<_> = (0..args.length()).map(|index| args.get(index)).collect();
    for index in 0..both.length() {
        let function = both.get_index(scope, index).and_then(|value| v8::Local::<v8::Function>::try_from(value).ok());
        if let Some(function) = function {
            function.call(scope, args.this().into(), &values);
        }
    }
}

/// A source map as a `data:` URL whose sources are found from `root`; `None` for one that is no JSON object.
pub(crate) fn source_map_url(map: &str, root: &str) -> Option<String> {
    let mut map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(map).ok()?;
    map.insert("sourceRoot".to_owned(), root.into());
    let text = serde_json::to_string(&map).ok()?;
    Some(format!("data:application/json;base64,{}", STANDARD.encode(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_map_says_where_its_sources_are() {
        let url =
            source_map_url(r#"{"version":3,"sources":["src/index.ts"],"mappings":""}"#, "file:///work/a/").unwrap();
        let map = STANDARD.decode(url.strip_prefix("data:application/json;base64,").unwrap()).unwrap();
        let map: serde_json::Value = serde_json::from_slice(&map).unwrap();
        assert_eq!(map["sourceRoot"], "file:///work/a/");
        assert_eq!(map["sources"][0], "src/index.ts");
        assert_eq!(source_map_url("[]", "file:///"), None);
    }
}
