//! A server that answers each line, in the clear or over TLS, and goes over to TLS when it is asked to.
//!
//! | Line | Answer |
//! |---|---|
//! | `STARTTLS` | `go`, and TLS from there on |
//! | `bytes N` | N times `x`, and the end of the connection |
//! | `reset`, and a line after it | a reset |
//! | `hold` | nothing, until the client goes away, which `gone` counts |
//! | anything else | `echo: ` and the line; over TLS `PROTOCOL NAME: ` and the line |

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;

use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::DEADLINE;
use super::project::Project;

/// Ends with the test's process.
pub struct Lines {
    /// Speaks in the clear.
    pub plain: SocketAddr,
    /// Speaks TLS from the start.
    pub secure: SocketAddr,
    gone: Arc<(Mutex<usize>, Condvar)>,
}

#[derive(Clone)]
struct Settings {
    tls: Arc<ServerConfig>,
    gone: Arc<(Mutex<usize>, Condvar)>,
}

// === impl Lines ===

impl Lines {
    /// With the certificate `FILE.pem` and the key `FILE.key` of the project.
    pub fn start(project: &Project, file: &str) -> Self {
        let gone = Arc::default();
        let settings = Settings { tls: Arc::new(config(project, file)), gone: Arc::clone(&gone) };
        let plain = listen(settings.clone(), |stream, settings| in_the_clear(&stream, settings));
        let secure = listen(settings, over_tls);
        Self { plain, secure, gone }
    }

    /// Waits until this many clients have left from `hold`.
    pub fn wait_for_gone(&self, count: usize) {
        let (gone, changed) = &*self.gone;
        let (gone, waited) = changed.wait_timeout_while(gone.lock().unwrap(), DEADLINE, |gone| *gone < count).unwrap();
        assert!(!waited.timed_out(), "{} of {count} clients have left", *gone);
    }
}

fn config(project: &Project, file: &str) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(project.file(&format!("{file}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(project.file(&format!("{file}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"lines/2".to_vec(), b"lines/1".to_vec(), b"http/1.1".to_vec()];
    config
}

fn listen(settings: Settings, serve: fn(TcpStream, &Settings) -> Result<()>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let settings = settings.clone();
            // A client that breaks the connection is nothing that the server minds.
            std::thread::spawn(move || serve(stream, &settings));
        }
    });
    address
}

fn in_the_clear(stream: &TcpStream, settings: &Settings) -> Result<()> {
    // Nothing is read ahead of a line: what follows may be TLS.
    let mut reader = BufReader::with_capacity(1, stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        match line.split_once(' ').unwrap_or((line, "")) {
            ("STARTTLS", _) => {
                writer.write_all(b"go\n")?;
                return over_tls(stream.try_clone()?, settings);
            }
            ("bytes", count) => {
                writer.write_all(&vec![b'x'; count.parse().unwrap_or(0)])?;
                return Ok(());
            }
            ("reset", _) => {
                // A connection that is dropped with something unread is reset.
                stream.peek(&mut [0])?;
                return Ok(());
            }
            ("hold", _) => {
                let _ = reader.read(&mut [0]);
                let (gone, changed) = &*settings.gone;
                *gone.lock().unwrap() += 1;
                changed.notify_all();
                return Ok(());
            }
            _ => writer.write_all(format!("echo: {line}\n").as_bytes())?,
        }
    }
}

fn over_tls(stream: TcpStream, settings: &Settings) -> Result<()> {
    let connection = ServerConnection::new(Arc::clone(&settings.tls)).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        let session = &stream.get_ref().conn;
        let protocol = String::from_utf8_lossy(session.alpn_protocol().unwrap_or(b"-")).into_owned();
        let name = session.server_name().unwrap_or("-").to_owned();
        stream.get_mut().write_all(format!("{protocol} {name}: {line}").as_bytes())?;
        line.clear();
    }
    Ok(())
}
