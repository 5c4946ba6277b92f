//! The rows.

use crate::row::Client::Answer;
use crate::row::Client::Cut;
use crate::row::Client::Error;
use crate::row::Client::Leaves;
use crate::row::Client::LeavesMidway;
use crate::row::Client::SentAway;
use crate::row::Isolate::Never;
use crate::row::Isolate::Replaced;
use crate::row::ROW;
use crate::row::Row;
use crate::row::Worker::Handler;
use crate::row::Worker::Module;
use crate::row::Worker::Prepared;

pub const ROWS: &[Row] = &[
    // --- exceptions
    Row {
        name: "exception",
        worker: Handler("throw new Error('CANARY');"),
        error: Some("^Error: CANARY$"),
        stack: Some(r"(?m)^    at .*\bfail\.ts:2:7\)?$"),
        ..ROW
    },
    Row {
        name: "exception after an await",
        worker: Handler("await scheduler.wait(1); throw new TypeError('CANARY');"),
        error: Some("^TypeError: CANARY$"),
        stack: Some(r"fail\.ts:2:\d+"),
        ..ROW
    },
    Row { name: "exception that is no error", worker: Handler("throw 'CANARY';"), error: Some("^Uncaught CANARY$"), ..ROW },
    Row { name: "exception that is null", worker: Handler("throw null;"), error: Some("^Uncaught null$"), ..ROW },
    Row {
        name: "exception that cannot be looked at",
        worker: Handler("throw new Proxy({}, { get() { throw new Error('CANARY'); } });"),
        error: Some("cannot be turned into a string"),
        ..ROW
    },
    Row {
        name: "answer that is no Response",
        worker: Handler("return { status: 200, body: 'CANARY' };"),
        error: Some("did not resolve to 'Response'"),
        stack: Some("TypeError"),
        ..ROW
    },
    Row {
        name: "answer that cannot be sent",
        worker: Handler("return new Response('CANARY', { headers: { 'x-large': 'x'.repeat(200_000) } });"),
        error: Some("^RangeError: The headers of the response are larger than 131072 bytes"),
        stack: Some("RangeError"),
        ..ROW
    },
    Row {
        name: "answer whose body was read",
        worker: Handler("const answer = new Response('CANARY'); await answer.text(); return answer;"),
        error: Some("Body has already been used"),
        stack: Some("TypeError"),
        ..ROW
    },
    Row {
        name: "abort by the worker",
        worker: Handler("ctx.abort(new Error('CANARY')); await scheduler.wait(100_000);"),
        error: Some("^Error: CANARY$"),
        stack: Some(r"fail\.ts:2:\d+"),
        ..ROW
    },
    Row {
        name: "no handler",
        worker: Module("export default {};"),
        client: Error(500, "no_handler"),
        outcome: "no_handler",
        error: Some(r"does not export a fetch\(\) function"),
        stack: Some(""),
        isolate: Never,
        ..ROW
    },
    // --- errors that escape elsewhere
    Row {
        name: "unhandled rejection",
        worker: Handler("Promise.reject(new Error('CANARY')); return new Response('fine');"),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("ERROR", r"^Uncaught \(in promise\) Error: CANARY(?s:.*)fail\.ts:2:\d+")],
        ..ROW
    },
    Row {
        name: "unhandled rejection that a listener takes care of",
        worker: Prepared(
            "addEventListener('unhandledrejection', (event) => { event.preventDefault(); console.warn('seen:', event.reason.message); });",
            "Promise.reject(new Error('CANARY')); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("WARN", "^seen: CANARY$")],
        never: &["Uncaught"],
        ..ROW
    },
    Row {
        name: "unhandled rejection that a listener only looks at",
        worker: Prepared(
            "onunhandledrejection = (event) => console.warn('seen:', event.reason.message, event.promise instanceof Promise);",
            "Promise.reject(new Error('CANARY')); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("WARN", "^seen: CANARY true$"), ("ERROR", r"^Uncaught \(in promise\) Error: CANARY")],
        ..ROW
    },
    Row {
        name: "listener for rejections that throws",
        worker: Prepared(
            "addEventListener('unhandledrejection', () => { throw new Error('in the listener'); });",
            "Promise.reject(new Error('CANARY')); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("ERROR", "^Uncaught Error: in the listener"), ("ERROR", r"^Uncaught \(in promise\) Error: CANARY")],
        ..ROW
    },
    Row {
        name: "rejection that is handled late",
        worker: Prepared(
            "addEventListener('unhandledrejection', (event) => event.preventDefault());
             addEventListener('rejectionhandled', (event) => console.log('handled:', event.reason.message));",
            "const late = Promise.reject(new Error('CANARY')); await scheduler.wait(1); late.catch(() => {});
             await scheduler.wait(1); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("INFO", "^handled: CANARY$")],
        never: &["Uncaught"],
        ..ROW
    },
    Row {
        name: "exception in a timer",
        worker: Handler(
            "setTimeout(() => { throw new Error('CANARY'); }); await scheduler.wait(5); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("ERROR", r"^Uncaught Error: CANARY(?s:.*)fail\.ts:2:\d+")],
        ..ROW
    },
    Row {
        name: "exception in an interval, again and again",
        worker: Handler(
            "let n = 0; const id = setInterval(() => { if (++n === 3) clearInterval(id); throw new Error(`CANARY ${n}`); }, 1);
             while (n < 3) await scheduler.wait(1);
             return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("ERROR", "CANARY 1"), ("ERROR", "CANARY 2"), ("ERROR", "CANARY 3")],
        ..ROW
    },
    Row {
        name: "exception in a listener",
        worker: Handler(
            "const target = new EventTarget(); target.addEventListener('x', () => { throw new Error('CANARY'); });
             target.addEventListener('x', () => console.log('the next listener')); target.dispatchEvent(new Event('x'));
             return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("ERROR", "^Uncaught Error: CANARY"), ("INFO", "^the next listener$")],
        ..ROW
    },
    Row {
        name: "exception in a microtask",
        worker: Handler("queueMicrotask(() => { throw new Error('CANARY'); }); return new Response('fine');"),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("ERROR", "^Uncaught Error: CANARY")],
        ..ROW
    },
    Row {
        name: "error that the worker reports",
        worker: Prepared(
            "addEventListener('error', (event) => console.log('seen:', event.error.message, event.message));",
            "reportError(new Error('CANARY')); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("INFO", "^seen: CANARY Uncaught Error: CANARY$"), ("ERROR", "^Uncaught Error: CANARY")],
        ..ROW
    },
    Row {
        name: "error that a listener takes care of",
        worker: Prepared(
            "addEventListener('error', (event) => { event.preventDefault(); console.log('seen:', event.error.message); });",
            "setTimeout(() => { throw new Error('CANARY'); }); await scheduler.wait(5); return new Response('fine');",
        ),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("INFO", "^seen: CANARY$")],
        never: &["Uncaught"],
        ..ROW
    },
    // --- limits
    Row {
        name: "CPU exceeded",
        worker: Handler("for (;;);"),
        client: Error(503, "cpu_exceeded"),
        outcome: "cpu_exceeded",
        error: Some(r"CPU budget of 50 ms \(limits\.cpu_ms\)"),
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "CPU exceeded after an await, with waitUntil",
        worker: Handler(
            "ctx.waitUntil(scheduler.wait(1).then(() => console.log('begun')).then(() => scheduler.wait(50)).then(() => console.log('GOES ON')));
             await scheduler.wait(10); for (;;);",
        ),
        client: Error(503, "cpu_exceeded"),
        outcome: "cpu_exceeded",
        error: Some("CPU budget"),
        lines: &[("INFO", "^begun$")],
        never: &["GOES ON"],
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "CPU exceeded after the answer",
        worker: Handler("ctx.waitUntil(scheduler.wait(1).then(() => { for (;;); })); return new Response('fine');"),
        client: Answer("fine"),
        outcome: "cpu_exceeded",
        error: Some("CPU budget"),
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "CPU exceeded while an exception is looked at",
        worker: Handler("throw Object.defineProperty(new Error('CANARY'), 'stack', { get() { for (;;); } });"),
        client: Error(503, "cpu_exceeded"),
        outcome: "cpu_exceeded",
        error: Some("CPU budget"),
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "CPU exceeded in the listener for rejections",
        worker: Prepared(
            "addEventListener('unhandledrejection', () => { for (;;); });",
            "Promise.reject(1); await scheduler.wait(100_000);",
        ),
        client: Error(503, "cpu_exceeded"),
        outcome: "cpu_exceeded",
        error: Some("CPU budget"),
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "memory exceeded",
        worker: Handler("const kept: unknown[] = []; for (;;) { kept.push(new Array(100_000).fill(0)); await null; }"),
        ceilings: "memory_mb = 32\ncpu_ms = 20_000",
        client: Error(503, "memory_exceeded"),
        outcome: "memory_exceeded",
        error: Some("memory limit of 32 MiB"),
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "memory exceeded with waitUntil",
        worker: Handler(
            "ctx.waitUntil(scheduler.wait(50).then(() => console.log('GOES ON')));
             const kept: unknown[] = []; for (;;) { kept.push(new Array(100_000).fill(0)); await null; }",
        ),
        ceilings: "memory_mb = 32\ncpu_ms = 20_000",
        client: Error(503, "memory_exceeded"),
        outcome: "memory_exceeded",
        error: Some("memory limit of 32 MiB"),
        never: &["GOES ON"],
        isolate: Replaced,
        ..ROW
    },
    Row {
        name: "wall-clock time exceeded",
        worker: Handler("await scheduler.wait(100_000);"),
        // Long enough for the isolate to start beside many others.
        limits: "wall_ms = 1_500",
        client: Error(504, "wall_exceeded"),
        outcome: "wall_exceeded",
        error: Some("did not answer within 1500 ms"),
        beside: false,
        ..ROW
    },
    Row {
        name: "waitUntil beside a body that takes its time: the client is still there",
        worker: Handler(
            "const { readable, writable } = new TransformStream();
             const writer = writable.getWriter();
             const write = (text) => writer.write(new TextEncoder().encode(text));
             ctx.waitUntil((async () => {
               for (let n = 0; n < 8; n++) { await write('and on '); await scheduler.wait(100); }
               await writer.close();
               await scheduler.wait(100_000);
             })());
             return new Response(readable);",
        ),
        limits: "wait_until_ms = 200, wall_ms = 200",
        client: Answer("and on and on and on and on and on and on and on and on "),
        outcome: "ok",
        lines: &[("WARN", r"waitUntil\(\) tasks did not complete")],
        beside: false,
        ..ROW
    },
    Row {
        name: "waitUntil takes too long",
        worker: Handler("ctx.waitUntil(scheduler.wait(100_000)); return new Response('fine');"),
        limits: "wait_until_ms = 100",
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("WARN", r"waitUntil\(\) tasks did not complete")],
        beside: false,
        ..ROW
    },
    // --- never
    Row {
        name: "hung",
        worker: Handler("await new Promise(() => {});"),
        client: Error(500, "hung"),
        outcome: "hung",
        error: Some("nothing is left that could complete its response"),
        beside: false,
        ..ROW
    },
    Row {
        name: "hung in the body of the answer",
        worker: Handler(
            "return new Response(new ReadableStream({ start(controller) { controller.enqueue(new TextEncoder().encode('begun')); } }));",
        ),
        client: Cut("begun"),
        outcome: "hung",
        error: Some("nothing is left"),
        beside: false,
        ..ROW
    },
    Row {
        name: "hung in waitUntil",
        worker: Handler("ctx.waitUntil(new Promise(() => {})); return new Response('fine');"),
        client: Answer("fine"),
        outcome: "ok",
        lines: &[("WARN", r"given to waitUntil\(\) can never resolve")],
        beside: false,
        ..ROW
    },
    // --- start-up
    Row {
        name: "start-up throws",
        worker: Module("function start() { throw new Error('CANARY'); }\nstart();\nexport default { fetch: () => new Response('fine') };"),
        client: Error(500, "startup_failed"),
        outcome: "startup_failed",
        error: Some("^Error: CANARY$"),
        stack: Some(r"index\.ts:1:\d+"),
        isolate: Never,
        ..ROW
    },
    Row {
        name: "start-up rejects",
        worker: Module("await Promise.reject(new Error('CANARY'));\nexport default { fetch: () => new Response('fine') };"),
        client: Error(500, "startup_failed"),
        outcome: "startup_failed",
        error: Some("^Error: CANARY$"),
        stack: Some(r"index\.ts:1:\d+"),
        isolate: Never,
        ..ROW
    },
    Row {
        name: "start-up awaits for ever",
        worker: Module("await new Promise(() => {});\nexport default { fetch: () => new Response('fine') };"),
        client: Error(500, "startup_failed"),
        outcome: "startup_failed",
        error: Some("never settles"),
        isolate: Never,
        ..ROW
    },
    Row {
        name: "start-up does I/O",
        worker: Module("await fetch('http://127.0.0.1/');\nexport default { fetch: () => new Response('fine') };"),
        client: Error(500, "startup_failed"),
        outcome: "startup_failed",
        error: Some("^Error: Disallowed operation called within global scope"),
        stack: Some(r"index\.ts:1:\d+"),
        isolate: Never,
        ..ROW
    },
    Row {
        name: "start-up exceeds its CPU budget",
        worker: Module("for (;;);\nexport default { fetch: () => new Response('fine') };"),
        limits: "startup_cpu_ms = 50",
        client: Error(500, "startup_exceeded"),
        outcome: "startup_exceeded",
        error: Some("global scope exceeded its CPU budget of 50 ms"),
        isolate: Never,
        ..ROW
    },
    Row {
        name: "start-up exceeds the memory limit",
        worker: Module("const kept: unknown[] = []; for (;;) kept.push(new Array(100_000).fill(0));\nexport default {};"),
        ceilings: "memory_mb = 32\nstartup_cpu_ms = 20_000",
        client: Error(503, "memory_exceeded"),
        outcome: "memory_exceeded",
        error: Some("global scope exceeded the memory limit"),
        isolate: Never,
        ..ROW
    },
    // --- clients
    Row {
        name: "client leaves before the answer",
        worker: Handler(
            "request.signal.addEventListener('abort', () => console.log('aborted')); console.log('reached');
             await scheduler.wait(100_000);",
        ),
        client: Leaves("reached"),
        outcome: "client_gone",
        lines: &[("INFO", "^reached$"), ("INFO", "^aborted$")],
        ..ROW
    },
    Row {
        name: "client leaves, and waitUntil goes on",
        worker: Handler(
            "ctx.waitUntil(new Promise((done) => request.signal.addEventListener('abort', done)).then(() => scheduler.wait(10)).then(() => console.log('went on')));
             console.log('reached'); await scheduler.wait(100_000);",
        ),
        client: Leaves("reached"),
        outcome: "client_gone",
        lines: &[("INFO", "^went on$")],
        ..ROW
    },
    Row {
        name: "client leaves in the middle of the answer",
        worker: Handler(
            "return new Response(new ReadableStream({
               start(controller) { controller.enqueue(new TextEncoder().encode('begun')); },
               pull: () => scheduler.wait(100_000), cancel() { console.log('cancelled'); } }));",
        ),
        client: LeavesMidway("begun"),
        outcome: "client_gone",
        lines: &[("INFO", "^cancelled$")],
        ..ROW
    },
    Row {
        name: "overload",
        worker: Handler("return new Response('fine');"),
        limits: "concurrency = 1, queue = 1",
        client: SentAway(503, "overloaded"),
        outcome: "overloaded",
        error: Some("queue is full"),
        beside: false,
        ..ROW
    },
    // --- after the head
    Row {
        name: "body of the answer fails",
        worker: Handler(
            "let n = 0; return new Response(new ReadableStream({
               async pull(controller) { if (n++) throw new Error('CANARY'); controller.enqueue(new TextEncoder().encode('begun')); await scheduler.wait(1); } }));",
        ),
        client: Cut("begun"),
        error: Some("^Error: CANARY$"),
        stack: Some(r"fail\.ts:3:\d+"),
        ..ROW
    },
    Row {
        name: "body of the answer is no bytes",
        worker: Handler("return new Response(new ReadableStream({ start(c) { c.enqueue('CANARY'); c.close(); } }));"),
        client: Cut(""),
        error: Some("^TypeError: This ReadableStream is being used as a byte stream"),
        stack: Some("TypeError"),
        ..ROW
    },
    Row {
        name: "waitUntil fails",
        worker: Handler(
            "ctx.waitUntil(scheduler.wait(1).then(() => { throw new Error('CANARY'); })); return new Response('fine');",
        ),
        client: Answer("fine"),
        error: Some(r"^waitUntil\(\): Error: CANARY$"),
        lines: &[("ERROR", r"^Uncaught \(in waitUntil\) Error: CANARY(?s:.*)fail\.ts:2:\d+")],
        ..ROW
    },
    Row {
        name: "waitUntil fails before the answer",
        worker: Handler(
            "ctx.waitUntil(Promise.reject(new Error('CANARY'))); await scheduler.wait(5); return new Response('fine');",
        ),
        client: Answer("fine"),
        error: Some(r"^waitUntil\(\): Error: CANARY$"),
        lines: &[("ERROR", r"^Uncaught \(in waitUntil\) Error: CANARY")],
        ..ROW
    },
    Row {
        name: "waitUntil goes on after an exception",
        worker: Handler(
            "ctx.waitUntil(scheduler.wait(10).then(() => console.log('went on'))); throw new Error('CANARY');",
        ),
        error: Some("^Error: CANARY$"),
        stack: Some(r"fail\.ts:2:\d+"),
        lines: &[("INFO", "^went on$")],
        ..ROW
    },
    Row {
        name: "waitUntil fails after an exception",
        worker: Handler(
            "ctx.waitUntil(scheduler.wait(1).then(() => { throw new Error('later'); })); throw new Error('CANARY');",
        ),
        error: Some("^Error: CANARY$"),
        stack: Some(r"fail\.ts:2:\d+"),
        lines: &[("ERROR", r"^Uncaught \(in waitUntil\) Error: later")],
        ..ROW
    },
];
