//! Secrets in a file: where they are found, never what they are.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

const HINT: &str = "a secret is never written in this file; say where it is found, as \"env:NAME\" or \"file:PATH\"";

/// Where a secret is found: `env:NAME` or `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecretSource(pub(super) String);

impl SecretSource {
    /// Whoever writes a secret in clear is told so without it being repeated.
    fn parse<E: Error>(text: &str) -> Result<Self, E> {
        let is_named = |name: &str| !name.trim().is_empty();
        match text.split_once(':') {
            Some(("env" | "file", name)) if is_named(name) => Ok(Self(text.to_owned())),
            _ => Err(E::custom(HINT)),
        }
    }
}

/// Visitors that never repeat what was given: serde's own messages would.
struct One;

impl Visitor<'_> for One {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HINT)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretSource, E> {
        SecretSource::parse(text)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretSource, E> {
        Err(E::custom(HINT))
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(One)
    }
}

/// A list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecretSources(pub(super) Vec<SecretSource>);

struct Several;

impl<'de> Visitor<'de> for Several {
    type Value = SecretSources;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of secrets")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretSources, E> {
        Err(E::custom("this is a list: write [\"env:NAME\"], so that a secret can be changed without a gap"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<SecretSources, A::Error> {
        let mut sources = Vec::new();
        while let Some(source) = elements.next_element()? {
            sources.push(source);
        }
        Ok(SecretSources(sources))
    }
}

impl<'de> Deserialize<'de> for SecretSources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Several)
    }
}
