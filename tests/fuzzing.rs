//! The bodies of the fuzz targets over their seeds, and over random changes of those.
//!
//! `HOLM_FUZZ_ROUNDS` is how many changes are tried for each target; they are the same in each run, unless
//! `HOLM_FUZZ_SEED` is another number.

use std::panic::catch_unwind;
use std::path::Path;

use libtest_mimic::Arguments;
use libtest_mimic::Failed;
use libtest_mimic::Trial;

#[path = "fuzz/targets.rs"]
mod targets;

/// What the targets are about; `fuzz/subject.rs` has the same without the engine.
mod subject {
    pub use holm_apis::fetch::data_url;
    pub use holm_apis::fetch::target;
    pub use holm_config as config;
    pub use holm_front::authority;
    pub use holm_stores::fetch::coding;
    pub use holm_stores::fetch::public;

    pub mod cdn_loop {
        pub use holm_isolate::CDN_LOOP;
        pub use holm_isolate::loop_depth;
        pub use holm_isolate::next_loop;
    }
}

const ROUNDS: u64 = 3_000;
/// Longer inputs find nothing that shorter ones do not.
const LONGEST: usize = 4_096;
/// What a change puts in: marks of all the formats.
const WORDS: &[&[u8]] = &[
    b".",
    b":",
    b"/",
    b"//",
    b"*",
    b"*.",
    b"?",
    b"#",
    b"%",
    b"%00",
    b"@",
    b"[",
    b"]",
    b"[::1]",
    b"\n",
    b"\r\n",
    b"\0",
    b",",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"xn--",
    b"0x",
    b"127.1",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"-1",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"1e999",
    b"holm; subreqs=",
    b"[[worker]]\n",
    b"[server]\n",
    b"egress = ",
    b"\"env\": ",
    b"/*",
    b"//",
    b"http://",
    b";base64,",
];

fn main() {
    let arguments = Arguments::from_args();
    let trials = targets::ALL.iter().map(|(name, target)| Trial::test(*name, move || run(name, *target))).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn run(name: &str, target: fn(&[u8])) -> Result<(), Failed> {
    let seeds = seeds(name);
    for (file, seed) in &seeds {
        tried(target, seed).map_err(|failure| format!("seed {file}: {failure}"))?;
    }
    let setting = |name: &str, default| std::env::var(name).map_or(Ok(default), |value| value.parse::<u64>());
    let mut random = Random(setting("HOLM_FUZZ_SEED", 1)? | 1);
    for _ in 0..setting("HOLM_FUZZ_ROUNDS", ROUNDS)? {
        let input = random.changed(&seeds);
        tried(target, &input)?;
    }
    Ok(())
}

/// The files of `fuzz/seeds/NAME`.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(name);
    let mut seeds: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty());
    seeds
}

fn tried(target: fn(&[u8]), input: &[u8]) -> Result<(), String> {
    catch_unwind(|| target(input)).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
        format!("{said}\ninput: b\"{}\"", input.escape_ascii())
    })
}

/// Numbers that look random and are the same in each run (xorshift64*).
struct Random(u64);

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % bound.max(1)
    }

    /// One of the seeds with a few changes.
    fn changed(&mut self, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].1.clone();
        for _ in 0..=self.below(6) {
            let at = self.below(input.len() + 1);
            let end = (at + self.below(16)).min(input.len());
            match self.below(7) {
                0 if at < input.len() => input[at] ^= 1 << self.below(8),
                1 if at < input.len() => input[at] = self.next() as u8,
                2 => drop(input.drain(at..end)),
                3 => drop(input.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
                4 => drop(input.splice(at..end, WORDS[self.below(WORDS.len())].iter().copied())),
                5 => {
                    let copy = input[at..end].to_vec();
                    let to = self.below(input.len() + 1);
                    drop(input.splice(to..to, copy));
                }
                _ => {
                    let other = &seeds[self.below(seeds.len())].1;
                    let from = self.below(other.len() + 1);
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
            }
        }
        input.truncate(LONGEST);
        input
    }
}
