//! The Cache API of a server: whose responses are whose, and what outlives a restart.

mod support;

use support::client::Client;
use support::process::Serve;
use support::project::Project;
use support::project::config;

/// `/put/BODY` keeps a body under one URL for all workers, `/get` answers with what is kept.
const WORKER: &str = r#"
const KEY = "http://shared.example/";
export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/get") return await caches.default.match(KEY) ?? new Response("nothing");
    if (pathname.startsWith("/many/")) {
      for (let i = 0; i < 40; i++) {
        const body = new Uint8Array(60_000);
        await caches.default.put(`${KEY}${pathname}/${i}`, new Response(body, { headers: { "cache-control": "max-age=600" } }));
      }
      return new Response("kept");
    }
    await caches.default.put(KEY, new Response(pathname, { headers: { "cache-control": "max-age=600" } }));
    return new Response("kept");
  },
};
"#;

fn site(more: &str) -> Project {
    let workers: String = [("a", "first"), ("b", "first"), ("c", "second")]
        .iter()
        .map(|(name, tenant)| {
            format!("[[worker]]\nproject = \"{name}\"\ntenant = \"{tenant}\"\nhostnames = [\"{name}.example\"]\n")
        })
        .collect();
    let configuration =
        format!("[server]\nhttp = \"127.0.0.1:0\"\n{more}\n[limits]\nsubrequests = 1000\ncpu_ms = 1000\n{workers}");
    let configuration = if more.contains("[limits]") {
        format!("[server]\nhttp = \"127.0.0.1:0\"\n{more}\n{workers}")
    } else {
        configuration
    };
    let named: Vec<(String, String)> = ["a", "b", "c"]
        .iter()
        .flat_map(|name| {
            [(format!("{name}/wrangler.jsonc"), config(name, "")), (format!("{name}/index.js"), WORKER.to_owned())]
        })
        .collect();
    let mut files = vec![("holm.toml", configuration.as_str())];
    files.extend(named.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    Project::with(&files)
}

fn text(client: Client, host: &str, path: &str) -> String {
    client.get_at(host, path).text()
}

#[test]
fn workers_of_one_tenant_share_a_cache_and_others_do_not() {
    let site = site("");
    let server = Serve::start(&site.file("holm.toml"));
    let client = server.http();
    assert_eq!(text(client, "a.example", "/put/one"), "kept");
    assert_eq!(text(client, "a.example", "/get"), "/put/one");
    assert_eq!(text(client, "b.example", "/get"), "/put/one");
    assert_eq!(text(client, "c.example", "/get"), "nothing");
    assert_eq!(text(client, "c.example", "/put/two"), "kept");
    assert_eq!(text(client, "a.example", "/get"), "/put/one");
}

#[test]
fn what_is_kept_on_disk_outlives_a_restart_and_stays_within_its_bound() {
    let site = site(
        "[cache]\ndirectory = \"cached\"\n[limits]\nsubrequests = 1000\ncpu_ms = 1000\ncache_disk_mb = 1\ncache_memory_mb = 1",
    );
    {
        let server = Serve::start(&site.file("holm.toml"));
        assert_eq!(text(server.http(), "a.example", "/put/one"), "kept");
    }
    let server = Serve::start(&site.file("holm.toml"));
    let client = server.http();
    assert_eq!(text(client, "b.example", "/get"), "/put/one");
    assert_eq!(text(client, "c.example", "/get"), "nothing");
    // The other tenant fills the disk, at its own cost.
    assert_eq!(text(client, "c.example", "/many/x"), "kept");
    assert_eq!(text(client, "a.example", "/get"), "/put/one");
    let bytes: u64 =
        std::fs::read_dir(site.file("cached")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!((500_000..=1 << 20).contains(&bytes), "{bytes}");
}

#[test]
fn a_directory_that_cannot_be_is_an_error_of_the_start() {
    let site = site("[cache]\ndirectory = \"a/index.js/cached\"");
    let ended = Serve::refused(&site.file("holm.toml"));
    assert!(
        ended.output.contains("the directory of the cache") && ended.output.contains("name one that"),
        "{}",
        ended.output
    );
}
