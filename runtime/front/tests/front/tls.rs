//! TLS: certificates by server name, reloaded while connections are served, and no request for a host they do not cover.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holm_front::CertError;
use holm_front::CertStore;
use holm_front::CertificateFiles;
use holm_front::Coalescing;
use holm_front::Options;
use holm_front::Transport;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::*;

/// A folder of PEM files, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("holm-front-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a fresh self-signed certificate for `names`, and returns its files and itself.
    fn certificate(&self, file: &str, names: &[&str]) -> (CertificateFiles, CertificateDer<'static>) {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files =
            CertificateFiles { cert: self.0.join(format!("{file}.pem")), key: self.0.join(format!("{file}.key")) };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        (files, made.cert.der().clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A client that trusts `roots` and, if `named`, says which server it wants.
fn client(roots: &[&CertificateDer<'static>], alpn: &str, named: bool) -> TlsConnector {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add((*root).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config.enable_sni = named;
    TlsConnector::from(Arc::new(config))
}

impl Running {
    async fn tls(&self, connector: &TlsConnector, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        connector.connect(ServerName::try_from(name.to_owned()).unwrap(), self.connect().await).await
    }

    async fn get_tls(&self, connector: &TlsConnector, name: &str, host: &str) -> String {
        let mut stream = self.tls(connector, name).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

async fn start_tls(store: &Arc<CertStore>, options: Options) -> Running {
    start_with(options, Transport::Tls(Arc::clone(store))).await
}

#[tokio::test]
async fn each_server_name_gets_the_certificate_that_covers_it() {
    let folder = Folder::new("names");
    let (hello, hello_root) = folder.certificate("hello", &["hello.example"]);
    let (wild, wild_root) = folder.certificate("wild", &["*.wild.example", "other.example"]);
    let store = CertStore::load(&[hello, wild]).unwrap();
    let front = start_tls(&store, Options::default()).await;
    for (root, name) in [(&hello_root, "hello.example"), (&wild_root, "a.wild.example"), (&wild_root, "other.example")]
    {
        let answer = front.get_tls(&client(&[root], "http/1.1", true), name, name).await;
        assert_eq!(body(&answer), format!("{name} https https://{name}/"));
    }
    let both = client(&[&hello_root, &wild_root], "http/1.1", true);
    assert!(front.tls(&both, "unknown.example").await.is_err());
    assert!(front.tls(&both, "a.b.wild.example").await.is_err());
}

#[tokio::test]
async fn a_client_that_names_no_server_gets_the_first_certificate_and_what_it_covers() {
    let folder = Folder::new("unnamed");
    let (hello, hello_root) = folder.certificate("hello", &["hello.example"]);
    let (other, _) = folder.certificate("other", &["other.example"]);
    let front = start_tls(&CertStore::load(&[hello, other]).unwrap(), Options::default()).await;
    let unnamed = client(&[&hello_root], "http/1.1", false);
    assert_eq!(status(&front.get_tls(&unnamed, "hello.example", "hello.example").await), 200);
    assert_eq!(status(&front.get_tls(&unnamed, "hello.example", "127.0.0.1").await), 200);
    assert_eq!(status(&front.get_tls(&unnamed, "hello.example", "other.example").await), 421);
}

#[tokio::test]
async fn a_connection_serves_only_hosts_that_its_certificate_covers() {
    let folder = Folder::new("misdirected");
    let (wild, wild_root) = folder.certificate("wild", &["*.wild.example"]);
    let (hello, _) = folder.certificate("hello", &["hello.example"]);
    let store = CertStore::load(&[wild, hello]).unwrap();
    let connector = client(&[&wild_root], "http/1.1", true);
    let front = start_tls(&store, Options::default()).await;
    assert_eq!(status(&front.get_tls(&connector, "a.wild.example", "b.wild.example").await), 200);
    let answer = front.get_tls(&connector, "a.wild.example", "hello.example").await;
    assert_eq!((status(&answer), header(&answer, "x-holm-error")), (421, Some("misdirected")));

    let strict = start_tls(&store, Options { coalescing: Coalescing::Never, ..Options::default() }).await;
    assert_eq!(status(&strict.get_tls(&connector, "a.wild.example", "b.wild.example").await), 421);
    assert_eq!(status(&strict.get_tls(&connector, "a.wild.example", "a.wild.example").await), 200);
}

#[tokio::test]
async fn http_2_is_agreed_on_in_the_handshake() {
    let folder = Folder::new("alpn");
    let (hello, root) = folder.certificate("hello", &["hello.example"]);
    let front = start_tls(&CertStore::load(&[hello]).unwrap(), Options::default()).await;
    let stream = front.tls(&client(&[&root], "h2", true), "hello.example").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = http2(TokioIo::new(stream)).await;
    let answer = client.send_request(request("GET", "https://hello.example/x", "")).await.unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "hello.example https https://hello.example/x");
}

#[tokio::test]
async fn a_reload_takes_new_certificates_and_keeps_the_last_good_ones() {
    let folder = Folder::new("reload");
    let (hello, old_root) = folder.certificate("hello", &["hello.example"]);
    let (other, _) = folder.certificate("other", &["other.example"]);
    let store = CertStore::load(&[hello.clone(), other.clone()]).unwrap();
    let front = start_tls(&store, Options::default()).await;
    let mut kept = front.tls(&client(&[&old_root], "http/1.1", true), "hello.example").await.unwrap();

    let (_, new_root) = folder.certificate("hello", &["hello.example"]);
    std::fs::write(&other.cert, "not a certificate").unwrap();
    let errors = store.reload().unwrap_err();
    assert!(errors[0].to_string().contains("other.pem"), "{errors:?}");

    let trusts_new = client(&[&new_root], "http/1.1", true);
    assert_eq!(status(&front.get_tls(&trusts_new, "hello.example", "hello.example").await), 200);
    assert!(store.reload().is_err(), "a file stays wrong until it is put right");
    let (_, other_root) = folder.certificate("other", &["other.example"]);
    store.reload().unwrap();
    let trusts_other = client(&[&other_root], "http/1.1", true);
    assert_eq!(status(&front.get_tls(&trusts_other, "other.example", "other.example").await), 200);

    kept.write_all(b"GET / HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_answer(&mut kept).await), 200);
}

#[test]
fn files_that_cannot_be_used_are_all_named() {
    let folder = Folder::new("errors");
    let (good, _) = folder.certificate("good", &["hello.example"]);
    let (stranger, _) = folder.certificate("stranger", &["hello.example"]);
    let missing = CertificateFiles { cert: Path::new("missing.pem").into(), key: good.key.clone() };
    let no_key = CertificateFiles { cert: good.cert.clone(), key: good.cert.clone() };
    let wrong_key = CertificateFiles { cert: good.cert.clone(), key: stranger.key };
    let no_cert = CertificateFiles { cert: good.key.clone(), key: good.key.clone() };
    let errors = CertStore::load(&[missing, good, no_key, wrong_key, no_cert]).unwrap_err();
    assert!(
        matches!(
            errors.as_slice(),
            [CertError::Read { .. }, CertError::NoKey { .. }, CertError::Key { .. }, CertError::NoCertificate { .. }]
        ),
        "{errors:?}"
    );
    assert!(matches!(CertStore::load(&[]).unwrap_err().as_slice(), [CertError::Nothing]));
}

#[tokio::test]
async fn a_handshake_that_does_not_begin_is_cut_off() {
    let folder = Folder::new("handshake");
    let (hello, _) = folder.certificate("hello", &["hello.example"]);
    let mut options = Options::default();
    options.timeouts.tls_handshake = Duration::from_millis(100);
    let front = start_tls(&CertStore::load(&[hello]).unwrap(), options).await;
    assert_eq!(read_to_end(&mut front.connect().await).await, "");
}
