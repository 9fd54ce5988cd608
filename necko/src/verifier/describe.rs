//! Certificates in words. All of them come from strangers.

use std::net::IpAddr;

use http3_session::VerificationRequest;
use x509_parser::{
    certificate::{Validity, X509Certificate},
    extensions::GeneralName,
    prelude::FromDer as _,
    time::ASN1Time,
    x509::X509Name,
};

/// Names that are told of one certificate.
const MAX_NAMES: usize = 6;

/// Characters that are told of one name.
const MAX_LETTERS: usize = 100;

/// A certificate of the chain: which it is, whose, who issued it, and when it is valid.
pub(super) fn describe(request: &VerificationRequest, index: usize) -> String {
    let which = if index == 0 { "server's certificate" } else { "intermediate certificate" };
    let Some(certificate) = request.chain.get(index).and_then(|der| parse(der)) else {
        return format!("{which}, which can't be read");
    };
    let validity = validity(certificate.validity());
    let issuer = name(certificate.issuer());
    format!("{which} {}, issued by {issuer}, valid {validity}", owner(&certificate, index))
}

/// The first certificate of the chain whose time it is not: the server's own, or one on the way.
pub(super) fn out_of_time(request: &VerificationRequest, now: i64) -> usize {
    let is_out = |der: &Vec<u8>| {
        parse(der).is_some_and(|certificate| {
            let Validity { not_before, not_after } = certificate.validity();
            now < not_before.timestamp() || now > not_after.timestamp()
        })
    };
    request.chain.iter().position(is_out).unwrap_or(0)
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// Servers go by their alternative names, authorities by their subject.
fn owner(certificate: &X509Certificate<'_>, index: usize) -> String {
    let names = if index == 0 { alternative_names(certificate) } else { Vec::new() };
    if names.is_empty() {
        return format!("of {}", name(certificate.subject()));
    }
    let told: Vec<_> = names.iter().take(MAX_NAMES).map(|name| clean(name)).collect();
    let more = names.len().saturating_sub(told.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("for {}{more}", told.join(", "))
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn name(name: &X509Name<'_>) -> String {
    let text = clean(&name.to_string());
    if text.is_empty() { "nobody by name".to_owned() } else { format!("'{text}'") }
}

fn validity(validity: &Validity) -> String {
    format!("from {} to {}", date(&validity.not_before), date(&validity.not_after))
}

fn date(time: &ASN1Time) -> String {
    let time = time.to_datetime();
    format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

/// Nothing that moves a terminal's cursor, and not too much.
fn clean(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { '?' } else { letter };
    text.chars().take(MAX_LETTERS).map(plain).collect()
}
