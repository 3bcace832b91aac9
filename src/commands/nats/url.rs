//! The address of a stream: `nats://[user:pass@]host[:port][,host...]/STREAM`, or
//! `tls://`.

use std::fmt;
use std::str::FromStr;

use async_nats::ServerAddr;

/// The form of a stream address.
const SHAPE: &str = "nats://[user:pass@]host[:port]/STREAM, or tls://...";

/// A stream on a server, or on one of several that form a cluster.
#[derive(Debug, Clone)]
pub struct StreamUrl {
    /// The address of one server.
    pub servers: Vec<ServerAddr>,
    /// Authentication.
    pub login: Option<Login>,
    /// Whether the servers must speak TLS.
    pub tls: bool,
    /// The stream's name.
    pub stream: String,
    /// The address without a login.
    shown: String,
}

/// The authentication in an address.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// One word.
    Token(String),
    /// A user and a password.
    User(String, String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl FromStr for StreamUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The part before an `@` may be a password, however the address is split.
        let is_secret = text.contains('@');
        let wrong = |what: &str| {
            let what = if is_secret { "it is malformed" } else { what };
            format!("{what}; expected {SHAPE}")
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("it does not begin with nats:// or tls://"))?;
        if scheme != "nats" && scheme != "tls" {
            return Err(wrong(&format!("{scheme}:// is not supported")));
        }
        let (authority, stream) = rest
            .split_once('/')
            .ok_or_else(|| wrong("no stream name"))?;
        check_name(stream).map_err(|what| wrong(&what))?;
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (
                Some(self::login(login).map_err(|what| wrong(&what))?),
                hosts,
            ),
            None => (None, authority),
        };
        let mut servers = Vec::new();
        for host in hosts.split(',') {
            let server = format!("{scheme}://{host}").parse::<ServerAddr>();
            let server = server.map_err(|_| wrong(&format!("{host:?} is not a valid host")))?;
            if host.is_empty() || server.host().is_empty() || server.as_url_str().contains('?') {
                return Err(wrong(&format!("{host:?} is not a valid host")));
            }
            servers.push(server);
        }
        Ok(Self {
            servers,
            login,
            tls: scheme == "tls",
            stream: stream.to_owned(),
            shown: format!("{scheme}://{hosts}/{stream}"),
        })
    }
}

/// Whether a stream may be called so: the server's own rule.
fn check_name(name: &str) -> Result<(), String> {
    let illegal = |c: char| c.is_whitespace() || c.is_control() || "./\\*>".contains(c);
    if name.is_empty() {
        return Err("no stream name".to_owned());
    }
    if name.chars().any(illegal) || name.len() > 255 {
        return Err(format!("{name:?} is not a valid stream name"));
    }
    Ok(())
}

fn login(text: &str) -> Result<Login, String> {
    let login = match text.split_once(':') {
        Some((user, pass)) => Login::User(plain(user)?, plain(pass)?),
        None => Login::Token(plain(text)?),
    };
    Ok(login)
}

/// A part of an address with its %XX turned into bytes.
fn plain(text: &str) -> Result<String, String> {
    let wrong = || "a % in the login is not followed by two hex digits".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(rest.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| "the login is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> StreamUrl {
        text.parse().unwrap()
    }

    #[test]
    fn addresses() {
        let url = parse("nats://host/LOG");
        assert_eq!((url.stream.as_str(), url.tls), ("LOG", false));
        assert_eq!(
            (url.servers[0].host(), url.servers[0].port()),
            ("host", 4222)
        );
        assert_eq!(url.login, None);
        let url = parse("tls://me:p%40ss%3A@[::1]:4333/a-b_c");
        assert!(url.tls && url.servers[0].tls_required());
        assert_eq!(
            (url.servers[0].host(), url.servers[0].port()),
            ("::1", 4333)
        );
        assert_eq!(url.login, Some(Login::User("me".into(), "p@ss:".into())));
        assert_eq!(url.to_string(), "tls://[::1]:4333/a-b_c");
        assert!(!format!("{url:?}").contains("p@ss"));
        let url = parse("nats://t0ken@a:1,b:2,c/S");
        assert_eq!(url.login, Some(Login::Token("t0ken".into())));
        let ports: Vec<u16> = url.servers.iter().map(ServerAddr::port).collect();
        assert_eq!(ports, [1, 2, 4222]);
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "host/LOG",
            "http://host/LOG",
            "nats://host",
            "nats://host/",
            "nats:///LOG",
            "nats://host/A.B",
            "nats://host/A/B",
            "nats://host/A B",
            "nats://host/A>",
            "nats://host:port/LOG",
            "nats://host:70000/LOG",
            "nats://a,,b/LOG",
            "nats://u:%zz@host/LOG",
            "nats://u:%4@host/LOG",
        ] {
            assert!(text.parse::<StreamUrl>().is_err(), "{text}");
        }
    }
}
