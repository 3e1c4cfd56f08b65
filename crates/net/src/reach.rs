//! What a client may call: addresses, schemes and ports.

use std::net::IpAddr;

use http::HeaderName;
use url::{Host, Url};

use crate::address::{Special, special};
use crate::network::Network;

/// Which addresses a client may dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Ordinary public addresses, by `https`.
    Public,
    /// Ordinary public addresses by `https`, and the listed networks.
    ///
    /// A listed network opens private, loopback, link-local and other special ranges, except those that
    /// [`Special::is_never_allowed`] names.
    Networks {
        /// The operator's allow-list.
        allowed: Vec<Network>,
        /// Whether the listed networks may also be called by plain `http`. Other addresses never are.
        plain_http: bool,
    },
    /// Loopback addresses only (`127.0.0.0/8` and `::1`), by `http` or `https`: the simulated provider.
    Loopback,
}

/// Which ports a client may dial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ports {
    /// Every port but 0.
    #[default]
    Any,
    /// The listed ones only.
    Only(Vec<u16>),
}

/// Why a request is not sent. Each message ends the sentence "not sent to HOST: ...".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither `https` nor `http`.
    #[error("only https addresses can be called, and this one is {scheme}:")]
    Scheme {
        /// The scheme, without its colon.
        scheme: String,
    },
    /// `http` where only `https` is spoken.
    #[error("plain http is not allowed here, use https")]
    PlainHttp,
    /// `https://user:password@host`: credentials in an address end up in logs.
    #[error("a user name or password in the address is not allowed, use a header")]
    UserInfo,
    /// A port that is not on the list, or 0.
    #[error("port {port} is not allowed")]
    Port {
        /// The port, whether written or implied by the scheme.
        port: u16,
    },
    /// An address that is not an ordinary public one.
    #[error("{address} is {}, {}", special.description(), if special.is_never_allowed() {
        "which is never called"
    } else {
        "which is called only if its network is on the list of allowed networks"
    })]
    Address {
        /// The address, as written or as resolved.
        address: IpAddr,
        /// What it is.
        special: Special,
    },
    /// Not a loopback address, in a client that calls nothing else.
    #[error("{address} is not a loopback address, and nothing else is called here")]
    NotLoopback {
        /// The address, as written or as resolved.
        address: IpAddr,
    },
    /// A header that the client itself must set ([`check_header`](crate::check_header)).
    #[error("the header {name} belongs to the connection and cannot be set")]
    Header {
        /// Its name.
        name: HeaderName,
    },
}

/// The two schemes of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The scheme of `url`, if HTTP has it.
    pub(crate) fn of(url: &Url) -> Result<Scheme, Refusal> {
        match url.scheme() {
            "https" => Ok(Scheme::Https),
            "http" => Ok(Scheme::Http),
            other => Err(Refusal::Scheme { scheme: other.to_owned() }),
        }
    }
}

impl Reach {
    /// Whether any address at all may be called by plain `http`.
    pub(crate) fn has_plain_http(&self) -> bool {
        match self {
            Reach::Public => false,
            Reach::Networks { plain_http, .. } => *plain_http,
            Reach::Loopback => true,
        }
    }

    /// Whether this one address may be dialled.
    pub(crate) fn permit(&self, address: IpAddr, scheme: Scheme) -> Result<(), Refusal> {
        let special = special(address);
        let (allowed, plain_http) = match self {
            Reach::Loopback if special == Some(Special::Loopback) => return Ok(()),
            Reach::Loopback => return Err(Refusal::NotLoopback { address }),
            Reach::Public => (&[][..], false),
            Reach::Networks { allowed, plain_http } => (allowed.as_slice(), *plain_http),
        };
        let listed = allowed.iter().any(|network| network.contains(address));
        match special {
            Some(special) if special.is_never_allowed() || !listed => Err(Refusal::Address { address, special }),
            _ if scheme == Scheme::Http && !(listed && plain_http) => Err(Refusal::PlainHttp),
            _ => Ok(()),
        }
    }

    /// Everything that can be said about `url` without resolving its name.
    ///
    /// The `url` crate has already turned every notation of an IPv4 address (`0x7f.1`, `2130706433`, `0177.0.0.1`,
    /// full-width digits, a dot at the end) into the address, as browsers do, so there are no odd literals here.
    pub(crate) fn check(&self, url: &Url, ports: &Ports) -> Result<(), Refusal> {
        let scheme = Scheme::of(url)?;
        if scheme == Scheme::Http && !self.has_plain_http() {
            return Err(Refusal::PlainHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let port = url.port_or_known_default().unwrap_or(0);
        match ports {
            Ports::Any if port != 0 => {}
            Ports::Only(list) if port != 0 && list.contains(&port) => {}
            _ => return Err(Refusal::Port { port }),
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.permit(address.into(), scheme),
            Some(Host::Ipv6(address)) => self.permit(address.into(), scheme),
            // Names are judged by what they resolve to, each time they are dialled.
            Some(Host::Domain(_)) | None => Ok(()),
        }
    }
}
