use serde::Deserialize;

use super::{testing::Device, *};

fn party(host: &str) -> RelyingParty {
    RelyingParty { id: host.to_owned(), origin: format!("https://{host}") }
}

/// An example of the specification (Web Authentication Level 3, section 16): a passkey that is made, and then used.
#[derive(Deserialize)]
struct Vector {
    name: String,
    credential_id: String,
    registration: Registration,
    authentication: Authentication,
}

#[derive(Deserialize)]
struct Registration {
    challenge: String,
    client_data: String,
    attestation: String,
}

#[derive(Deserialize)]
struct Authentication {
    challenge: String,
    client_data: String,
    authenticator_data: String,
    signature: String,
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn the_examples_of_the_specification_are_judged_as_they_are() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let party = party("example.org");
    let mut found = Vec::new();
    for vector in &vectors {
        let Registration { challenge: asked, client_data, attestation } = &vector.registration;
        let made = Made { client_data: bytes(client_data), attestation: bytes(attestation) };
        assert_eq!(challenge(&made.client_data), Ok(bytes(asked)), "{}", vector.name);
        // Whoever was not verified has a key all the same, and the second half of the example is its signature.
        let said = data::attested(&made.attestation).unwrap();
        let credential = AuthenticatorData::read(&said).unwrap().credential.unwrap();
        assert_eq!(credential.id, bytes(&vector.credential_id), "{}", vector.name);

        let Authentication { challenge: asked, client_data, authenticator_data, signature } = &vector.authentication;
        let used = Used {
            client_data: bytes(client_data),
            authenticator_data: bytes(authenticator_data),
            signature: bytes(signature),
        };
        assert_eq!(challenge(&used.client_data), Ok(bytes(asked)), "{}", vector.name);
        let accepted = used.accept(&party, credential.public_key, 0);
        found.push((vector.name.as_str(), made.accept(&party).map(|_| ()), accepted.map(|_| ())));
    }
    // What bit 2 of the flags says decides, and never before the signature was found right.
    let (fine, unverified) = (Ok(()), Err(Refused::Unverified));
    assert_eq!(
        found,
        [
            ("none-es256", unverified.clone(), unverified.clone()),
            ("none-es256-crossOrigin", Err(Refused::Origin), Err(Refused::Origin)),
            ("none-es256-long-credential-id", unverified.clone(), fine.clone()),
            ("packed-es256", fine.clone(), fine.clone()),
            ("packed-es384", unverified.clone(), Err(Refused::Algorithm)),
            ("packed-rs256", fine.clone(), unverified.clone()),
            ("packed-eddsa", unverified.clone(), unverified.clone()),
            ("tpm-es256", fine.clone(), fine),
            ("apple-es256", unverified.clone(), unverified.clone()),
            ("fido-u2f-es256", unverified.clone(), unverified),
        ]
    );
}

#[test]
fn a_passkey_is_believed_at_its_site_by_its_own_signature() {
    let (here, elsewhere) = (party("keys.acme.test"), party("evil.test"));
    let mut device = Device::new();
    let made = device.make(&here, b"one").accept(&here).unwrap();
    assert_eq!((&made.credential_id, made.counter, made.is_synced), (&device.credential_id, 1, false));
    let accept = |used: Used| used.accept(&here, &made.public_key, 1);
    device.counter = 2;
    assert_eq!(accept(device.sign(&here, b"two")), Ok(2));

    // A page of another host can only ask for passkeys of its own; the two are never mixed by an honest browser.
    let mixed = RelyingParty { id: here.id.clone(), origin: elsewhere.origin.clone() };
    let other_port = RelyingParty { id: here.id.clone(), origin: "https://keys.acme.test:8443".to_owned() };
    let other_party = RelyingParty { id: elsewhere.id.clone(), origin: here.origin.clone() };
    for (asked_by, refused) in [
        (&elsewhere, Refused::Origin),
        (&mixed, Refused::Origin),
        (&other_port, Refused::Origin),
        (&other_party, Refused::Party),
    ] {
        assert_eq!(accept(device.sign(asked_by, b"two")), Err(refused.clone()), "{asked_by:?}");
        assert_eq!(device.make(asked_by, b"one").accept(&here), Err(refused), "{asked_by:?}");
    }

    let used = device.sign(&here, b"two");
    for (changed, refused) in [
        (Used { client_data: device.make(&here, b"two").client_data, ..used.clone() }, Refused::Ceremony),
        (Used { client_data: device.sign(&here, b"three").client_data, ..used.clone() }, Refused::Signature),
        (Used { signature: Device::new().sign(&here, b"two").signature, ..used.clone() }, Refused::Signature),
        (Used { signature: Vec::new(), ..used.clone() }, Refused::Signature),
        (Used { client_data: b"{}".to_vec(), ..used.clone() }, Refused::Malformed("what the browser saw")),
        (Used { authenticator_data: Vec::new(), ..used.clone() }, Refused::Malformed("what the device says")),
    ] {
        assert_eq!(accept(changed), Err(refused));
    }
}

#[test]
fn who_was_not_verified_is_not_believed() {
    let here = party("keys.acme.test");
    let mut device = Device::new();
    let key = device.public_key();
    device.is_verifying = false;
    assert_eq!(device.make(&here, b"one").accept(&here), Err(Refused::Unverified));
    assert_eq!(device.sign(&here, b"one").accept(&here, &key, 0), Err(Refused::Unverified));
}

#[test]
fn a_counter_goes_on_or_does_not_count() {
    let here = party("keys.acme.test");
    let mut device = Device::new();
    for (known, said, expected) in [
        (0, 0, Ok(0)),
        (0, 1, Ok(1)),
        (7, 9, Ok(9)),
        (7, 7, Err(Refused::Copied)),
        (7, 6, Err(Refused::Copied)),
        (7, 0, Err(Refused::Copied)),
    ] {
        device.counter = said;
        assert_eq!(device.sign(&here, b"x").accept(&here, &device.public_key(), known), expected, "{known} {said}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_sent_breaks_anything(at in 0_usize..400, byte: u8, length in 0_usize..400) {
        let here = party("keys.acme.test");
        let made = Device::new().make(&here, b"one");
        let mut attestation = made.attestation;
        let end = attestation.len();
        attestation[at % end] = byte;
        attestation.truncate(end - length % end);
        let _ = Made { attestation, ..made }.accept(&here);
    }
}
