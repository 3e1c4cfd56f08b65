//! Passkeys: keys that a browser keeps for a site, and that its owner unlocks (Web Authentication Level 3, sections 7.1 and
//! 7.2).
//!
//! Decisions over bytes. That a challenge was ours, is fresh and was not used before is for the caller, who gave it out;
//! where an answer came from, whose it is and that somebody was verified is decided here. Attestation is not asked for, and
//! what a browser sends of it is not believed.

mod cose;
mod data;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use self::{
    cose::PublicKey,
    data::{AuthenticatorData, Ceremony, ClientData},
};

pub use self::cose::ALGORITHMS;

/// The site that a passkey is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// Its host, which is never an address of numbers.
    pub id: String,
    /// Scheme, host and port, as browsers write them.
    pub origin: String,
}

/// Why what a browser answered is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bytes are no such answer.
    #[error("what the browser sent does not read: {0}; try again")]
    Malformed(&'static str),
    /// A passkey was made where one was to be used, or the other way round.
    #[error("the browser answered another question; open the page anew and try again")]
    Ceremony,
    /// A page of another site asked, or a page that stood in one.
    #[error("the passkey was asked for by another site's page; nothing was done")]
    Origin,
    /// The passkey is one of another site.
    #[error("this passkey is for another site")]
    Party,
    /// The device did not say that somebody was there and is its owner.
    #[error("the device did not check that it is you; set up a PIN, a fingerprint or a face on it, and try again")]
    Unverified,
    /// The key is of a kind that was not asked for.
    #[error("this device makes keys of a kind that is not known here; use another one")]
    Algorithm,
    /// It was signed by another key, or changed.
    #[error("the passkey's signature is not right")]
    Signature,
    /// It signed less often than before: there are two of it.
    #[error("this passkey was used elsewhere in between, as if it had been copied; sign in another way and remove it")]
    Copied,
}

/// What a browser answers when it has made a passkey.
#[derive(Debug, Clone)]
pub struct Made {
    /// What the browser saw, as JSON.
    pub client_data: Vec<u8>,
    /// What the device says, as CBOR.
    pub attestation: Vec<u8>,
}

/// A passkey that a browser has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// How the browser finds it: 1023 bytes at most.
    pub credential_id: Vec<u8>,
    /// As COSE writes it (RFC 9053).
    pub public_key: Vec<u8>,
    /// How often it signed. Devices that do not count say 0 always.
    pub counter: u32,
    /// Whether its owner's other devices may have it, too.
    pub is_synced: bool,
}

/// What a browser answers when it has used a passkey.
#[derive(Debug, Clone)]
pub struct Used {
    /// What the browser saw, as JSON.
    pub client_data: Vec<u8>,
    /// What the device says.
    pub authenticator_data: Vec<u8>,
    /// The device's signature of both.
    pub signature: Vec<u8>,
}

/// The challenge that an answer is to. Nothing else of it was looked at.
///
/// # Errors
/// It does not read.
pub fn challenge(client_data: &[u8]) -> Result<Vec<u8>, Refused> {
    Ok(ClientData::read(client_data)?.challenge)
}

impl Made {
    /// The passkey, if it was made for this site by somebody who was verified.
    ///
    /// # Errors
    /// A [`Refused`].
    pub fn accept(&self, party: &RelyingParty) -> Result<NewPasskey, Refused> {
        ClientData::read(&self.client_data)?.check(Ceremony::Create, party)?;
        let authenticator_data = data::attested(&self.attestation)?;
        let said = AuthenticatorData::read(&authenticator_data)?;
        said.check(party)?;
        let credential = said.credential.ok_or(Refused::Malformed("there is no passkey in it"))?;
        PublicKey::read(credential.public_key)?;
        Ok(NewPasskey {
            credential_id: credential.id.to_vec(),
            public_key: credential.public_key.to_vec(),
            counter: said.counter,
            is_synced: said.is_synced,
        })
    }
}

impl Used {
    /// How often the passkey signed now, if it was used at this site by somebody who was verified. `known_counter` is how
    /// often it had before.
    ///
    /// # Errors
    /// A [`Refused`].
    pub fn accept(&self, party: &RelyingParty, public_key: &[u8], known_counter: u32) -> Result<u32, Refused> {
        ClientData::read(&self.client_data)?.check(Ceremony::Get, party)?;
        let said = AuthenticatorData::read(&self.authenticator_data)?;
        let signed = [&self.authenticator_data[..], &Sha256::digest(&self.client_data)].concat();
        PublicKey::read(public_key)?.verify(&signed, &self.signature)?;
        said.check(party)?;
        let counts = said.counter != 0 || known_counter != 0;
        if counts && said.counter <= known_counter { Err(Refused::Copied) } else { Ok(said.counter) }
    }
}
