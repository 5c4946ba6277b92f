//! Upstreams that show a certificate which does not vouch for them.

use std::sync::Arc;

use holm_apis::fetch::outbound::FetchError;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::OutboundOptions;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::GeneralSubtree;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::NameConstraints;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use crate::upstream::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server for `localhost` whose certificate `issuer` has made.
async fn server(issuer: &Authority, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Upstream {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    let chain = vec![certificate.der().clone(), CertificateDer::from(issuer.as_ref().der().to_vec())];
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    Upstream::tls(TlsAcceptor::from(Arc::new(config)), |_| async { answer(200, &[], "reached") }).await
}

fn trusting(issuer: &Authority) -> HttpOutbound {
    let extra_roots = vec![CertificateDer::from(issuer.as_ref().der().to_vec())];
    HttpOutbound::new(OutboundOptions { extra_roots, ..local() }).unwrap()
}

fn url(upstream: &Upstream) -> String {
    format!("https://localhost:{}/", upstream.address.port())
}

#[tokio::test]
async fn a_certificate_that_does_not_vouch_for_its_server_is_refused() {
    let issuer = authority(|_| {});
    let good = server(&issuer, &["localhost"], |_| {}).await;
    let outbound = trusting(&issuer);
    assert_eq!(text(fetch(&outbound, get(url(&good))).await.body).await, "reached");

    let expired = server(&issuer, &["localhost"], |params| params.not_after = rcgen::date_time_ymd(2001, 1, 1)).await;
    let early = server(&issuer, &["localhost"], |params| params.not_before = rcgen::date_time_ymd(2900, 1, 1)).await;
    let elsewhere = server(&issuer, &["other.example"], |_| {}).await;
    for upstream in [&expired, &early, &elsewhere] {
        assert!(matches!(refused(&outbound, get(url(upstream))).await, FetchError::Tls));
    }
    let unknown = server(&authority(|_| {}), &["localhost"], |_| {}).await;
    assert!(matches!(refused(&outbound, get(url(&unknown))).await, FetchError::Tls));
}

#[tokio::test]
async fn an_issuer_that_may_not_speak_for_the_name_is_refused() {
    let issuer = authority(|params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("example.com".to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    });
    let upstream = server(&issuer, &["localhost"], |_| {}).await;
    assert!(matches!(refused(&trusting(&issuer), get(url(&upstream))).await, FetchError::Tls));
}
