//! Signature Version 4, by which Amazon Web Services know who calls.
//!
//! Source: AWS, "Create a signed AWS API request" (Identity and Access Management User Guide). What is signed is the call as
//! text: method, path, headers and the hash of the body. Calls with a query are not made here and cannot be signed.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who calls, and what.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The public half of the access key.
    pub access_key: &'a str,
    /// The secret half.
    pub secret_key: &'a str,
    /// Such as `eu-central-1`.
    pub region: &'a str,
    /// Such as `ses`.
    pub service: &'a str,
}

/// A call without a query.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// In capitals.
    pub method: &'a str,
    /// From the slash on, with nothing in it that would have to be encoded.
    pub path: &'a str,
    /// The headers that are signed: lower-case names in the order of the alphabet, among them `host` and `x-amz-date`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// The value of `x-amz-date`: `20261121T120000Z`.
    pub date: &'a str,
}

/// The value of the header `Authorization`.
#[must_use]
pub fn authorization(caller: &Caller<'_>, call: &Call<'_>) -> String {
    let Caller { access_key, region, service, .. } = caller;
    let day = call.date.split('T').next().unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let names = call.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = hexadecimal(&Sha256::digest(canonical(call, &names)));
    let signed = format!("{ALGORITHM}\n{}\n{scope}\n{request}", call.date);
    let signature = hexadecimal(&mac(&key(caller, day), &signed));
    format!("{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}")
}

/// The call as text. The empty line after the path is the query's.
fn canonical(call: &Call<'_>, names: &str) -> String {
    let mut text = format!("{}\n{}\n\n", call.method, call.path);
    for (name, value) in call.headers {
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "{name}:{value}");
    }
    let _ = write!(text, "\n{names}\n{}", hexadecimal(&Sha256::digest(call.body)));
    text
}

/// The key for one day, region and service: whoever learns it can do no more than that.
fn key(caller: &Caller<'_>, day: &str) -> [u8; 32] {
    let secret = zeroize::Zeroizing::new(format!("AWS4{}", caller.secret_key));
    [caller.region, caller.service, "aws4_request"]
        .iter()
        .fold(mac(secret.as_bytes(), day), |key, part| mac(&key, part))
}

fn mac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The credentials and the moment of AWS's published test suite.
    const CALLER: Caller<'_> = Caller {
        access_key: "AKIDEXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        service: "service",
    };
    const DATE: &str = "20150830T123600Z";

    fn signature(method: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let authorization = authorization(&CALLER, &Call { method, path: "/", headers, body, date: DATE });
        authorization.rsplit_once("Signature=").expect("a signature").1.to_owned()
    }

    #[test]
    fn the_published_vectors_hold() {
        let host = ("host", "example.amazonaws.com");
        let date = ("x-amz-date", DATE);
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (name, method, headers, body, expected) in [
            (
                "get-vanilla",
                "GET",
                &[host, date][..],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "post-vanilla",
                "POST",
                &[host, date],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                "POST",
                &[form, host, date],
                "Param1=value1",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "get-header-value-trim",
                "GET",
                &[host, ("my-header1", " value1"), ("my-header2", " \"a   b   c\""), date],
                "",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
        ] {
            assert_eq!(signature(method, headers, body.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn the_header_says_what_was_signed() {
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", DATE)];
        let call = Call { method: "GET", path: "/", headers: &headers, body: b"", date: DATE };
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                        SignedHeaders=host;x-amz-date, Signature=";
        assert!(authorization(&CALLER, &call).starts_with(expected));
    }
}
