//! Certificates: the cluster's own authority, and the identities that it gives out.
//!
//! The origin's gRPC listener and every edge have a certificate of this authority. An edge's names its role and id in a URI; that
//! it is an edge decides what it may call. Development servers use an authority of the same kind for HTTPS.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How long an authority lasts.
const AUTHORITY_DAYS: u64 = 3650;

/// Clocks differ; a certificate is valid from this long before it was made.
const BACKDATED: Duration = Duration::from_secs(3600);

const EDGE_URI_PREFIX: &str = "skerry:edge:";

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key or the certificate is not what it should be.
    #[error("certificate or key cannot be used: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A name that no certificate can have.
    #[error("{0:?} is no host name or IP address")]
    Name(String),
}

/// An authority that signs certificates.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its private key, for a TLS server or client.
pub struct Identity {
    /// The certificate, DER.
    pub certificate: CertificateDer<'static>,
    /// Its private key, PKCS #8.
    pub key: PrivatePkcs8KeyDer<'static>,
}

impl Identity {
    /// Certificate in PEM.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// Key in PEM: a secret, for a file of mode 0600.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", self.key.secret_pkcs8_der())
    }

    /// The key, as rustls takes it.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key().into()
    }
}

/// PEM (RFC 7468) of one DER object.
pub fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

impl Authority {
    /// Makes a new authority; the identity is to be kept, its key in a file of mode 0600.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when the system gives no randomness.
    pub fn generate(common_name: &str, now: SystemTime) -> Result<Identity, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        set_validity(&mut params, now, Duration::from_secs(AUTHORITY_DAYS * 86_400));
        let certificate = params.self_signed(&key)?;
        Ok(identity(&certificate, &key))
    }

    /// Takes up an authority that was made earlier.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when certificate or key cannot be read.
    pub fn new(identity: &Identity) -> Result<Self, AuthorityError> {
        let key = KeyPair::try_from(&identity.private_key())?;
        let issuer = Issuer::from_ca_cert_der(&identity.certificate, key)?;
        Ok(Self { certificate: identity.certificate.clone(), issuer })
    }

    /// The authority's own certificate, for those who trust it.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Makes a server certificate for host names (a leading `*.` is a wildcard) and IP addresses.
    ///
    /// # Errors
    /// [`AuthorityError::Name`] for a name that no certificate can have.
    pub fn issue_server(
        &self,
        names: &[String],
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Identity, AuthorityError> {
        let mut params = CertificateParams::default();
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    name.as_str().try_into().map_err(|_| AuthorityError::Name(name.clone()))?,
                ),
            });
        }
        params.distinguished_name.push(DnType::CommonName, "skerry");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, now, lifetime);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(identity(&certificate, &key))
    }

    /// Signs the request of an edge. Only its public key is taken over; names and rights are ours to say.
    ///
    /// # Errors
    /// [`AuthorityError::Certificate`] when the request is malformed or not signed by its own key.
    pub fn issue_edge(
        &self,
        request: &[u8],
        edge_id: &str,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))?;
        let mut params = CertificateParams::default();
        let uri = format!("{EDGE_URI_PREFIX}{edge_id}");
        let uri = uri.as_str().try_into().map_err(|_| AuthorityError::Name(edge_id.into()))?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.distinguished_name.push(DnType::CommonName, "skerry edge");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        set_validity(&mut params, now, lifetime);
        let certificate = params.signed_by(&request.public_key, &self.issuer)?;
        Ok(certificate.der().clone())
    }
}

/// A new key with the request to certify it, for an edge that enrols or renews: (request DER, key PKCS #8 DER).
///
/// # Errors
/// [`AuthorityError::Certificate`] when the system gives no randomness.
pub fn certificate_request() -> Result<(Vec<u8>, PrivatePkcs8KeyDer<'static>), AuthorityError> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::default().serialize_request(&key)?;
    Ok((request.der().to_vec(), PrivatePkcs8KeyDer::from(key.serialize_der())))
}

/// The id of the edge to which a certificate was given, or `None` if it is not an edge's. The chain must be verified already.
pub fn edge_id(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(EDGE_URI_PREFIX).map(str::to_owned),
        _ => None,
    })
}

/// When a certificate begins and ends.
pub fn validity(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let time =
        |seconds: i64| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?));
    let validity = certificate.validity();
    Some((time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?))
}

/// When a certificate ends.
pub fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    validity(certificate).map(|(_, end)| end)
}

fn set_validity(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) {
    // No certificate spends most of its life before it was made.
    params.not_before = (now - BACKDATED.min(lifetime)).into();
    params.not_after = (now + lifetime).into();
}

fn identity(certificate: &Certificate, key: &KeyPair) -> Identity {
    Identity { certificate: certificate.der().clone(), key: PrivatePkcs8KeyDer::from(key.serialize_der()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn authority() -> Authority {
        let identity = Authority::generate("test", SystemTime::now()).expect("randomness");
        Authority::new(&identity).expect("own authority")
    }

    #[test]
    fn an_edge_certificate_names_the_edge_and_its_end() {
        let (request, _key) = certificate_request().expect("randomness");
        let now = SystemTime::now();
        let certificate = authority().issue_edge(&request, "E123", now, DAY).expect("issues");
        assert_eq!(edge_id(&certificate).as_deref(), Some("E123"));
        let end = not_after(&certificate).expect("has an end");
        assert!(end <= now + DAY && end > now + DAY - Duration::from_secs(2));
    }

    #[test]
    fn a_server_certificate_is_no_edge() {
        let names = ["localhost".to_owned(), "*.localhost".to_owned(), "::1".to_owned()];
        let identity = authority().issue_server(&names, SystemTime::now(), DAY).expect("issues");
        assert_eq!(edge_id(&identity.certificate), None);
        assert!(identity.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----\n"));
    }

    #[test]
    fn a_request_that_is_garbage_is_refused() {
        for garbage in [&b""[..], b"garbage", &[0x30, 0x82, 0xff, 0xff]] {
            assert!(authority().issue_edge(garbage, "E1", SystemTime::now(), DAY).is_err());
        }
    }
}
