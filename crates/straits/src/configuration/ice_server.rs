//! STUN and TURN servers, and the grammar of their URLs.

use crate::{Error, ErrorName};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::net::Ipv6Addr;

/// `RTCIceServer`, W3C webrtc-pc §4.2.2: a STUN or TURN server with the URLs under which it is reached.
///
/// Servers are checked and kept, so that one configuration serves both ends of a connection, but the agent does not use
/// them: each URL is reported in [`on_ice_candidate_error`](crate::PeerConnection::on_ice_candidate_error) whenever
/// candidates are gathered.
///
/// As JSON it is what a browser takes; `urls` may be one string there, and reads back as a list of one.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// use straits::IceServer;
///
/// let json = r#"{"urls":"turn:turn.example.org","username":"user","credential":"secret"}"#;
/// let server: IceServer = serde_json::from_str(json)?;
/// assert_eq!(server, IceServer::new("turn:turn.example.org").credentials("user", "secret"));
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:`, `stuns:` (RFC 7064 §3.1), `turn:` or `turns:` (RFC 7065 §3.1) URLs; at least one.
    #[serde(deserialize_with = "one_or_more")]
    pub urls: Vec<String>,
    /// The user name for a TURN server, at most 509 bytes; TURN needs one, which may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password for a TURN server; TURN needs one, which may be empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

impl IceServer {
    /// A server with one URL and no credentials.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { urls: vec![url.into()], ..Self::default() }
    }

    /// The same server with a user name and a password.
    #[must_use]
    pub fn credentials(self, username: impl Into<String>, credential: impl Into<String>) -> Self {
        Self { username: Some(username.into()), credential: Some(credential.into()), ..self }
    }

    /// W3C webrtc-pc §4.4.1.6 set the configuration: the steps for each server.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.urls.is_empty() {
            return Err(Error::new(ErrorName::SyntaxError, "an ICE server has no URL", "give it one"));
        }
        self.urls.iter().try_for_each(|url| self.check_url(url))
    }

    fn check_url(&self, url: &str) -> Result<(), Error> {
        let Some(scheme) = scheme(url) else {
            let what = format!("{url:?} is not the URL of an ICE server");
            return Err(Error::new(ErrorName::SyntaxError, what, "write stun:host:port or turn:host:port"));
        };
        let refuse =
            |what: &'static str, advice| Err(Error::new(ErrorName::InvalidAccessError, what, advice));
        match (scheme, &self.username, &self.credential) {
            (Scheme::Stun, _, _) => Ok(()),
            // "either of server.username or server.credential do not exist, then throw an InvalidAccessError"
            (Scheme::Turn, None, _) | (Scheme::Turn, _, None) => {
                refuse("a TURN server lacks its credentials", "give it a username and a credential")
            }
            (Scheme::Turn, Some(username), Some(_)) if username.len() > MAX_USERNAME => {
                refuse("the username of a TURN server is too long", "use at most 509 bytes")
            }
            (Scheme::Turn, Some(_), Some(_)) => Ok(()),
        }
    }
}

/// The credential is never shown.
impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What a server speaks, over whatever transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Stun,
    Turn,
}

/// RFC 7064 §3.1: `scheme ":" host [ ":" port ]`; RFC 7065 §3.1 adds `[ "?transport=" transport ]`. `None`: it does not
/// read so.
///
/// Host and port are those of RFC 3986 §3.2, so that names beyond ASCII stand there in their encoded form. Browsers apply the
/// URL Standard, which encodes such names itself.
fn scheme(url: &str) -> Option<Scheme> {
    // RFC 5234 §2.3: literals of the grammar match in either case.
    let url = url.to_ascii_lowercase();
    let (scheme, rest) = url.split_once(':')?;
    let scheme = match scheme {
        "stun" | "stuns" => Scheme::Stun,
        "turn" | "turns" => Scheme::Turn,
        _ => return None,
    };
    let (authority, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let is_allowed = match (scheme, query) {
        (_, None) => true,
        (Scheme::Turn, Some(query)) => query.strip_prefix("transport=").is_some_and(is_transport),
        (Scheme::Stun, Some(_)) => false,
    };
    (is_allowed && is_host_and_port(authority)).then_some(scheme)
}

/// RFC 7065 §3.1: `transport = "udp" / "tcp" / transport-ext`, `transport-ext = 1*unreserved`.
fn is_transport(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_unreserved)
}

fn is_host_and_port(authority: &str) -> bool {
    let (is_host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((host, port)) = rest.split_once(']') else { return false };
            (host.parse::<Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (is_name(host), port)
        }
    };
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// RFC 3986 §3.2.2: `reg-name = *( unreserved / pct-encoded / sub-delims )`, which an IPv4 address is, too. An empty one
/// names no server.
fn is_name(host: &str) -> bool {
    let mut parts = host.split('%');
    let is_plain = |part: &str| part.bytes().all(|byte| is_unreserved(byte) || SUB_DELIMS.contains(&byte));
    let is_encoded =
        |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    !host.is_empty()
        && parts.next().is_some_and(is_plain)
        && parts.all(|part| is_encoded(part) && is_plain(part))
}

/// RFC 3986 §3.2.3: `port = *DIGIT`.
fn is_port(port: &str) -> bool {
    port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// WebIDL `(DOMString or sequence<DOMString>)`.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a string or a list of strings")]
    enum Urls {
        One(String),
        More(Vec<String>),
    }
    Ok(match Urls::deserialize(deserializer)? {
        Urls::One(url) => vec![url],
        Urls::More(urls) => urls,
    })
}

/// RFC 3986 §2.2.
const SUB_DELIMS: &[u8] = b"!$&'()*+,;=";
/// W3C behaviour CFG-08. RFC 8489 §14.3 itself asks for "fewer than 509 bytes".
const MAX_USERNAME: usize = 509;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_the_grammar_allows() {
        let stun = [
            "stun:example.org",
            "STUN:Example.Org:3478",
            "stuns:192.0.2.1:",
            "stun:[2001:db8::1]:65535",
            "stun:ex%61mple.net",
            "stun:xn--bcher-kva.example",
        ];
        for url in stun {
            assert_eq!(scheme(url), Some(Scheme::Stun), "{url}");
        }
        let turn = [
            "turn:example.org",
            "turns:example.org:443?transport=tcp",
            "turn:[::1]?transport=UDP",
            "turn:a?transport=x-1~",
        ];
        for url in turn {
            assert_eq!(scheme(url), Some(Scheme::Turn), "{url}");
        }
    }

    #[test]
    fn urls_that_the_grammar_refuses() {
        let refused = [
            "",
            "stun",
            "stun:",
            "stun::3478",
            "stun:[::1",
            "stun:[::1]x",
            "stun:[example.net]",
            "stun:[]",
            "stun:example.net:65536",
            "stun:example.net:b",
            "stun:example.net:-21",
            "stun:example.net:+21",
            "stun:example.net: ",
            "stun:a:1:2",
            "stun:user@example.net",
            "stun:example.net/foo",
            "stun:example.net#foo",
            "stun:example.net?transport=udp",
            "turn:example.net?",
            "turn:example.net?transport=",
            "turn:example.net?transport=a b",
            "turn:example.net?x=y",
            "stun:%zz",
            "stun:%2",
            "stun:a\\b",
            "stun:ü",
            "stun:%ü",
            " stun:example.net",
            "https:example.net",
        ];
        for url in refused {
            assert_eq!(scheme(url), None, "{url}");
        }
    }

    #[test]
    fn a_credential_is_not_shown() {
        let shown = format!("{:?}", IceServer::new("turn:example.org").credentials("user", "secret"));
        assert!(shown.contains("user") && !shown.contains("secret"), "{shown}");
    }
}
