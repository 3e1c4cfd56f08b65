//! What a browser and a device say.

use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Refused, RelyingParty};

/// Which of the two things a browser does with passkeys.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ceremony {
    Create,
    Get,
}

/// What the browser saw (section 5.8.1).
#[derive(Debug)]
pub(super) struct ClientData {
    kind: String,
    pub(super) challenge: Vec<u8>,
    origin: String,
    is_framed: bool,
}

#[derive(Deserialize)]
struct Json {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

impl ClientData {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let json: Json = serde_json::from_slice(bytes).map_err(|_| Refused::Malformed("what the browser saw"))?;
        let challenge = URL_SAFE_NO_PAD.decode(json.challenge).map_err(|_| Refused::Malformed("the challenge"))?;
        Ok(Self { kind: json.r#type, challenge, origin: json.origin, is_framed: json.cross_origin })
    }

    /// Whether it was done on a page of this site that stood in no other one.
    pub(super) fn check(&self, ceremony: Ceremony, party: &RelyingParty) -> Result<(), Refused> {
        let kind = match ceremony {
            Ceremony::Create => "webauthn.create",
            Ceremony::Get => "webauthn.get",
        };
        if self.kind != kind {
            return Err(Refused::Ceremony);
        }
        if self.origin == party.origin && !self.is_framed { Ok(()) } else { Err(Refused::Origin) }
    }
}

const USER_PRESENT: u8 = 1 << 0;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;
/// The longest id of a passkey, in bytes (section 7.1, step 25).
const CREDENTIAL_ID_MAX: usize = 1_023;

/// What a device says (section 6.1).
pub(super) struct AuthenticatorData<'a> {
    party: [u8; 32],
    flags: u8,
    pub(super) counter: u32,
    pub(super) is_synced: bool,
    pub(super) credential: Option<Credential<'a>>,
}

/// A new passkey as its device says it (section 6.5.1).
pub(super) struct Credential<'a> {
    pub(super) id: &'a [u8],
    pub(super) public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        let malformed = Refused::Malformed("what the device says");
        let (party, rest) = bytes.split_first_chunk::<32>().ok_or(malformed.clone())?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(malformed.clone())?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(malformed.clone())?;
        let (credential, rest) = match flags & HAS_CREDENTIAL {
            0 => (None, rest),
            _ => Credential::read(rest).map(|(credential, rest)| (Some(credential), rest))?,
        };
        let rest = if flags & HAS_EXTENSIONS == 0 { rest } else { &rest[item(rest)?.1..] };
        // A copy is of something that may be copied (section 6.1.3).
        let is_odd = flags & (BACKUP_ELIGIBLE | BACKED_UP) == BACKED_UP;
        if !rest.is_empty() || is_odd {
            return Err(malformed);
        }
        let (counter, is_synced) = (u32::from_be_bytes(*counter), flags & BACKUP_ELIGIBLE != 0);
        Ok(Self { party: *party, flags: *flags, counter, is_synced, credential })
    }

    /// Whether it is said to this site, and of somebody who was there and is the owner.
    pub(super) fn check(&self, party: &RelyingParty) -> Result<(), Refused> {
        if self.party != <[u8; 32]>::from(Sha256::digest(&party.id)) {
            return Err(Refused::Party);
        }
        let both = USER_PRESENT | USER_VERIFIED;
        if self.flags & both == both { Ok(()) } else { Err(Refused::Unverified) }
    }
}

impl<'a> Credential<'a> {
    /// The passkey, and what stands behind it.
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        const MODEL: usize = 16;
        let malformed = Refused::Malformed("the passkey");
        let rest = bytes.get(MODEL..).ok_or(malformed.clone())?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(malformed.clone())?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length).ok_or(malformed.clone())?;
        if id.is_empty() || length > CREDENTIAL_ID_MAX {
            return Err(malformed);
        }
        let (public_key, rest) = rest.split_at(item(rest)?.1);
        Ok((Self { id, public_key }, rest))
    }
}

/// The first item of some CBOR, and how many bytes it takes.
pub(super) fn item(bytes: &[u8]) -> Result<(Value, usize), Refused> {
    let mut cursor = Cursor::new(bytes);
    let value = ciborium::from_reader(&mut cursor).map_err(|_| Refused::Malformed("its CBOR"))?;
    Ok((value, usize::try_from(cursor.position()).unwrap_or(bytes.len())))
}

/// What the device says, out of what a browser sends of a new passkey (section 6.5.4).
pub(super) fn attested(attestation: &[u8]) -> Result<Vec<u8>, Refused> {
    let pairs = item(attestation)?.0.into_map().unwrap_or_default();
    let named = pairs.into_iter().find(|(name, _)| name.as_text() == Some("authData"));
    named.and_then(|(_, value)| value.into_bytes().ok()).ok_or(Refused::Malformed("there is no passkey in it"))
}
