import assert from "node:assert";
import fs from "node:fs";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import note from "./note.txt";

const kept = {};

const tests = {
  async bundle() {
    const [name] = fs.readdirSync("/bundle").filter((name) => name.endsWith("note.txt"));
    assert.equal(fs.readFileSync(join("/bundle", name), "utf8"), note);
    assert.equal(await readFile(`./${name}`, "utf8"), note);
    assert.equal(fs.statSync(`/bundle/${name}`).size, note.length);
    assert(fs.readdirSync("/bundle").includes("index.js"));
    for (const change of [
      () => fs.writeFileSync("/bundle/new.txt", "x"),
      () => fs.appendFileSync(`/bundle/${name}`, "x"),
      () => fs.unlinkSync(`/bundle/${name}`),
      () => fs.mkdirSync("/bundle/new"),
      () => fs.mkdirSync("/elsewhere"),
    ]) assert.throws(change, { code: "EROFS" });
    assert.deepEqual(fs.readdirSync("/"), ["bundle", "dev", "tmp"]);
    assert(!fs.existsSync("/etc/passwd") && !fs.existsSync("/proc/self/environ"));
    assert.throws(() => fs.readFileSync("/bundle/../../etc/passwd"), { code: "ENOENT", syscall: "open" });
  },
  sync() {
    fs.writeFileSync("/tmp/a.txt", "one");
    fs.appendFileSync("/tmp/a.txt", " two");
    assert.equal(fs.readFileSync("/tmp/a.txt", "utf8"), "one two");
    assert.deepEqual(fs.readFileSync("/tmp/a.txt"), Buffer.from("one two"));
    fs.mkdirSync("/tmp/deep/er", { recursive: true });
    fs.copyFileSync("/tmp/a.txt", "/tmp/deep/er/b.txt");
    fs.renameSync("/tmp/deep/er/b.txt", "/tmp/deep/c.txt");
    assert.deepEqual(fs.readdirSync("/tmp", { withFileTypes: true }).map((entry) => [entry.name, entry.isDirectory()]), [["a.txt", false], ["deep", true]]);
    assert.deepEqual(fs.readdirSync("/tmp", { recursive: true }).sort(), ["a.txt", "deep", "deep/c.txt", "deep/er"]);
    fs.symlinkSync("../a.txt", "/tmp/deep/link");
    assert.equal(fs.readFileSync("/tmp/deep/link", "utf8"), "one two");
    assert.equal(fs.readlinkSync("/tmp/deep/link"), "../a.txt");
    assert.equal(fs.realpathSync("/tmp/deep/link"), "/tmp/a.txt");
    assert(fs.lstatSync("/tmp/deep/link").isSymbolicLink() && fs.statSync("/tmp/deep/link").isFile());
    fs.truncateSync("/tmp/a.txt", 3);
    assert.equal(fs.statSync("/tmp/a.txt", { bigint: true }).size, 3n);
    fs.utimesSync("/tmp/a.txt", 1, 2);
    assert.equal(fs.statSync("/tmp/a.txt").mtimeMs, 2000);
    assert.throws(() => fs.rmdirSync("/tmp/deep"), { code: "ENOTEMPTY" });
    fs.rmSync("/tmp/deep", { recursive: true });
    fs.unlinkSync("/tmp/a.txt");
    assert.deepEqual(fs.readdirSync("/tmp"), []);
    assert.throws(() => fs.readFileSync("/tmp/a.txt"), { code: "ENOENT", errno: -2, path: "/tmp/a.txt", message: "ENOENT: no such file or directory, open '/tmp/a.txt'" });
    assert.equal(fs.statSync("/tmp/a.txt", { throwIfNoEntry: false }), undefined);
    assert.throws(() => fs.mkdirSync("/tmp"), { code: "EEXIST" });
    assert.throws(() => fs.readdirSync("/tmp/none"), { code: "ENOENT", syscall: "scandir" });
  },
  async descriptors() {
    const fd = fs.openSync("/tmp/f", "w+");
    assert.equal(fs.writeSync(fd, "hello"), 5);
    assert.equal(fs.writeSync(fd, Buffer.from("J"), 0, 1, 0), 1);
    const target = Buffer.alloc(5);
    assert.equal(fs.readSync(fd, target, 0, 5, 0), 5);
    assert.equal(target.toString(), "Jello");
    fs.closeSync(fd);
    assert.throws(() => fs.readSync(fd, target), { code: "EBADF" });
    assert.throws(() => fs.openSync("/tmp/f", "wx"), { code: "EEXIST" });
    await new Promise((resolve, reject) => fs.readFile("/tmp/f", "latin1", (error, text) => error ? reject(error) : resolve(assert.equal(text, "Jello"))));
    await new Promise((resolve) => fs.stat("/tmp/none", (error) => resolve(assert.equal(error.code, "ENOENT"))));
  },
  async promises() {
    const directory = await mkdtemp(join(tmpdir(), "work-"));
    const path = join(directory, "x");
    await writeFile(path, new Uint8Array([1, 2, 3]));
    const handle = await open(path, "r+");
    await handle.appendFile("x").catch(() => {});
    assert.deepEqual((await handle.read({ buffer: Buffer.alloc(2), position: 1 })).bytesRead, 2);
    await handle.truncate(1);
    assert.equal((await handle.stat()).size, 1);
    await handle.close();
    await assert.rejects(readFile(join(directory, "y")), { code: "ENOENT" });
    const names = [];
    for await (const entry of await fs.promises.opendir(directory)) names.push(entry.name);
    assert.deepEqual(names, ["x"]);
    await fs.promises.cp(directory, `${directory}-copy`, { recursive: true });
    assert.deepEqual(await fs.promises.readdir(`${directory}-copy`), ["x"]);
    await rm(directory, { recursive: true });
    await fs.promises.access(directory).then(() => assert.fail("is there"), (error) => assert.equal(error.code, "ENOENT"));
  },
  async streams() {
    const out = fs.createWriteStream("/tmp/stream");
    for (let i = 0; i < 1000; i++) out.write(`line ${i}\n`);
    await new Promise((resolve) => out.end(resolve));
    await pipeline(fs.createReadStream("/tmp/stream", { highWaterMark: 100 }), fs.createWriteStream("/tmp/copy"));
    assert.equal(fs.readFileSync("/tmp/copy", "utf8").split("\n").length, 1001);
    assert.equal((await fs.createReadStream("/tmp/stream", { start: 5, end: 11, encoding: "utf8" }).toArray()).join(""), "0\nline ");
    const handle = await open("/tmp/stream");
    const lines = [];
    for await (const line of handle.readLines()) lines.push(line);
    assert.equal(lines.length, 1000);
  },
  devices() {
    fs.writeFileSync("/dev/null", "gone");
    assert.equal(fs.readFileSync("/dev/null", "utf8"), "");
    const zero = fs.openSync("/dev/zero", "r");
    assert.deepEqual(Array.from(Buffer.alloc(3, 1), () => fs.readSync(zero, Buffer.alloc(2))), [2, 2, 2]);
    assert.throws(() => fs.writeFileSync("/dev/full", "x"), { code: "ENOSPC" });
    assert(fs.statSync("/dev/random").isCharacterDevice());
    assert.throws(() => fs.watch("/tmp"), /not available in a worker/);
  },
  write() {
    kept.fd = fs.openSync("/tmp/mine", "w+");
    fs.writeSync(kept.fd, "a secret of this request");
  },
  look() {
    // Files and descriptors of another request are not there.
    assert.deepEqual(fs.readdirSync("/tmp"), []);
    assert.throws(() => fs.readSync(kept.fd, Buffer.alloc(10), 0, 10, 0), { code: "EBADF" });
    assert.throws(() => fs.fstatSync(kept.fd), { code: "EBADF" });
  },
};

export default {
  async fetch(request) {
    await tests[new URL(request.url).pathname.slice(1)]();
    return new Response("as in Node.js");
  },
};
