//! The victim: a tenant whose worker is asked fifty times a second, by a thread of its own, whatever else happens.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::leaks;
use crate::support::DEADLINE;

pub const VICTIM: &str = "victim";
pub const SOURCE: &str = r#"
let sum = 0;
export default {
  fetch(request, env) {
    for (let i = 0; i < 100_000; i++) sum = (sum + i) | 0;
    return new Response("well", { headers: { "x-secret": env.SECRET } });
  },
};
"#;

const PERIOD: Duration = Duration::from_millis(20);
/// Slower than this and the victim has noticed, on a machine however busy.
const SLOWEST: Duration = Duration::from_secs(5);

/// Ends with the thread when dropped.
pub struct Canary {
    tally: Arc<(Mutex<Tally>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Tally {
    begun: u64,
    answered: u64,
    wrong: Vec<Wrong>,
}

/// A request of the victim that did not go well.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub number: u64,
    pub what: String,
    /// It was told that its process has died.
    pub crashed: bool,
}

/// A place in the sequence of the victim's requests.
#[derive(Clone, Copy, Debug)]
pub struct Since(u64);

// === impl Canary ===

impl Canary {
    pub fn start(address: SocketAddr, secret: String) -> Self {
        let tally = Arc::new((Mutex::new(Tally::default()), Condvar::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (tally, stop) = (Arc::clone(&tally), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let number = {
                        let mut tally = tally.0.lock().unwrap();
                        tally.begun += 1;
                        tally.begun
                    };
                    let result = ask(address, &secret);
                    let mut told = tally.0.lock().unwrap();
                    told.answered += 1;
                    let slow = began.elapsed() > SLOWEST;
                    if let Err((what, crashed)) = result {
                        told.wrong.push(Wrong { number, what, crashed });
                    } else if slow {
                        let what = format!("answered after {:?}", began.elapsed());
                        told.wrong.push(Wrong { number, what, crashed: false });
                    }
                    drop(told);
                    tally.1.notify_all();
                    std::thread::sleep(PERIOD.saturating_sub(began.elapsed()));
                }
            }
        });
        Self { tally, stop, thread: Some(thread) }
    }

    /// From the next request on.
    pub fn now(&self) -> Since {
        Since(self.tally.0.lock().unwrap().begun)
    }

    /// Waits for two requests that begin from now on; answers what went wrong since `since`.
    pub fn wrong_since(&self, since: Since) -> Vec<Wrong> {
        let (lock, changed) = &*self.tally;
        let tally = lock.lock().unwrap();
        let until = tally.begun + 2;
        let (tally, timeout) = changed
            .wait_timeout_while(tally, DEADLINE * 2, |tally| tally.answered < until)
            .unwrap_or_else(|_| panic!("the canary's thread has panicked"));
        let mut wrong: Vec<Wrong> = tally.wrong.iter().filter(|wrong| wrong.number >= since.0).cloned().collect();
        if timeout.timed_out() {
            wrong.push(Wrong { number: tally.begun, what: "no answer at all".to_owned(), crashed: false });
        }
        wrong
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request on a connection of its own. `Err` also says whether the process is said to have died.
fn ask(address: SocketAddr, secret: &str) -> Result<(), (String, bool)> {
    let failed = |error: std::io::Error| (error.to_string(), false);
    let mut stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(failed)?;
    stream.set_read_timeout(Some(DEADLINE)).map_err(failed)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {VICTIM}.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(failed)?;
    leaks::check(&bytes, Some(VICTIM), "an answer to the victim's client").map_err(|leak| (leak, false))?;
    let text = String::from_utf8_lossy(&bytes);
    let exact = text.starts_with("HTTP/1.1 200 ") && text.contains(secret) && text.ends_with("\r\n\r\nwell");
    if exact { Ok(()) } else { Err((format!("answered {text:?}"), text.contains("worker_crashed"))) }
}
