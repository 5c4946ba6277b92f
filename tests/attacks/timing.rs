//! The clock that stands still, and other ways to measure.

use crate::case::Case;
use crate::case::body;
use crate::case::elsewhere;
use crate::case::ok;

/// Every way to ask for the time, as a list of strings.
const SAMPLE: &str = r#"
    const sample = () => {
      const part = (parts) => parts.map(({ value }) => value).join("");
      const format = new Intl.DateTimeFormat("en", { dateStyle: undefined, hour: "numeric", minute: "numeric", second: "numeric", fractionalSecondDigits: 3 });
      class Subclass extends Date {}
      const Constructor = new Date(0).constructor;
      return {
        now: Date.now(), new: +new Date(), call: Date(), sub: +new Subclass(), constructor: +new Constructor(), construct: Date.prototype.getTime.call(Reflect.construct(Date, [], Object)), bound: +new (Date.bind(null))(),
        performance: performance.now(), origin: performance.timeOrigin, json: JSON.stringify(performance.toJSON?.()),
        mark: performance.mark("a").startTime, measure: performance.measure("b").duration,
        format: format.format(), parts: part(format.formatToParts()), getter: Reflect.get(Intl.DateTimeFormat.prototype, "format", format)(),
        locale: new Date().toLocaleTimeString("en", { fractionalSecondDigits: 3 }), string: new Date().toString(), iso: new Date().toISOString(),
        event: new Event("x").timeStamp, custom: new CustomEvent("x").timeStamp, message: new MessageEvent("x").timeStamp, error: new ErrorEvent("x").timeStamp, progress: new ProgressEvent("x").timeStamp,
        file: new File([], "").lastModified,
        ...(globalThis.Temporal === undefined ? {} : {
          instant: String(Temporal.Now.instant()), zoned: String(Temporal.Now.zonedDateTimeISO()), date: String(Temporal.Now.plainDateISO()), time: String(Temporal.Now.plainTimeISO()), dateTime: String(Temporal.Now.plainDateTimeISO()),
        }),
      };
    };
"#;

pub fn cases() -> Vec<Case> {
    let with_sample = |rest: &str| -> &'static str { Box::leak(format!("{SAMPLE}{rest}").into_boxed_str()) };
    vec![
        body(
            "TIM-01",
            "every clock before and after work",
            with_sample(
                r#"
                const before = sample();
                burn(2e7);
                const after = sample();
                const moved = Object.keys(before).filter((name) => !Object.is(before[name], after[name]));
                return new Response(moved.length === 0 && Object.keys(before).length > 20 ? "ok" : moved.map((name) => `${name}: ${before[name]} ${after[name]}`).join("\n"));
                "#,
            ),
        )
        .limits("cpu_ms = 2_000")
        .expect(&[ok("^ok$")]),
        body(
            "TIM-01",
            "every clock after a microtask",
            with_sample(
                r#"
                const before = sample();
                await null;
                burn(2e7);
                await Promise.resolve();
                const after = await new Promise((resolve) => queueMicrotask(() => resolve(sample())));
                const moved = Object.keys(before).filter((name) => !Object.is(before[name], after[name]));
                return new Response(moved.length === 0 ? "ok" : moved.map((name) => `${name}: ${before[name]} ${after[name]}`).join("\n"));
                "#,
            ),
        )
        .limits("cpu_ms = 2_000")
        .expect(&[ok("^ok$")]),
        body(
            "TIM-01",
            "every clock agrees and goes on after a wait",
            with_sample(
                r#"
                const before = sample();
                await sleep(1_100);
                const after = sample();
                const still = Object.keys(before).filter((name) => Object.is(before[name], after[name]));
                const expected = ["origin", "json", "measure", "date", "event", "custom", "message", "error", "progress"];
                const wrong = still.filter((name) => !expected.includes(name));
                const now = Date.now();
                if (Math.abs(new File([], "").lastModified - now) > 0 || +new Date() !== now) wrong.push("they disagree");
                return new Response(wrong.length === 0 ? "ok" : wrong.join());
                "#,
            ),
        )
        .limits("cpu_ms = 2_000")
        .expect(&[ok("^ok$")]),
        body(
            "TIM-02",
            "samples across waits are monotone and whole",
            r#"
            const times = [];
            for (let i = 0; i < 300; i++) {
              if (i % 10 === 0) await (await fetch(env.UPSTREAM + "/text")).text();
              else await sleep(0);
              times.push(Date.now(), performance.timeOrigin + performance.now());
            }
            for (let i = 0; i < times.length; i++) if (!Number.isInteger(times[i]) || (i > 1 && times[i] < times[i - 2])) return new Response(`${times[i - 2]} ${times[i]}`);
            return new Response("ok");
            "#,
        )
        .limits("cpu_ms = 2_000, subrequests = 100, wall_ms = 20_000")
        .expect(&[ok("^ok$")]),
        body(
            "TIM-04",
            "console timers and measures around work",
            r#"
            console.time("t");
            performance.mark("begin");
            burn(2e7);
            performance.mark("end");
            const { duration } = performance.measure("m", "begin", "end");
            console.timeLog("t");
            console.timeEnd("t");
            return new Response(String(duration));
            "#,
        )
        .limits("cpu_ms = 2_000")
        .scenario(|stage, host| {
            let mark = stage.mark();
            let duration = stage.get(host, "/")?.text();
            if duration != "0" {
                return Err(format!("a measure of {duration} ms"));
            }
            stage.wait_log(mark, r#""message":"t: 0(\.0+)? ?ms".*tim-04"#)?;
            Ok(())
        }),
        body(
            "TIM-05",
            "what would be a clock",
            r#"
            const there = [];
            for (const [name, read] of Object.entries({
              SharedArrayBuffer: () => SharedArrayBuffer, Worker: () => Worker, waitAsync: () => Atomics.waitAsync, wait: () => Atomics.wait, gc: () => gc, memory: () => performance.memory, hrtime: () => process.hrtime,
              measureUserAgentSpecificMemory: () => performance.measureUserAgentSpecificMemory, eventLoopUtilization: () => performance.eventLoopUtilization, requestIdleCallback: () => requestIdleCallback, Deno: () => Deno, consoleMemory: () => console.memory, profile: () => console.profile,
            })) { let value; try { value = read(); } catch { continue; } if (value !== undefined) there.push(name); }
            try { new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer; there.push("shared memory"); } catch {}
            try { new WebAssembly.Memory({ initial: 1, maximum: 1, get shared() { return this.again = !this.again; } }).buffer.constructor.name !== "ArrayBuffer" && there.push("shared memory by getter"); } catch {}
            try { (0, eval)("%DebugPrint(1)"); there.push("natives"); } catch {}
            try { new Function("%DebugPrint(1)"); there.push("natives"); } catch {}
            return new Response(there.length === 0 ? "ok" : there.join());
            "#,
        )
        .expect(&[ok("^ok$")]),
        // There is no interval after which a process is replaced; the replacement that an operator asks for is the same.
        elsewhere("TIM-07", "tests/processes.rs"),
    ]
}
