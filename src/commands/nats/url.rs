//! The address of a stream: `nats://[user:pass@]host[:port][,host...]/STREAM`, or
//! `tls://`.

use std::fmt;
use std::str::FromStr;

use async_nats::ServerAddr;

/// The form of a stream address.
const SHAPE: &str = "nats://[user:pass@]host[:port]/STREAM, or tls://...";

/// A stream on a server, or on one of several that form a cluster.
#[derive(Clone)]
pub struct StreamUrl {
    /// The address of each server, without a login: the parser of these takes no list, and
    /// no password with a `#`.
    pub servers: Vec<ServerAddr>,
    /// A user and the password, or a token.
    pub login: Option<(String, Option<String>)>,
    /// The stream's name.
    pub stream: String,
    /// The address without a login.
    pub shown: String,
}

impl fmt::Debug for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl FromStr for StreamUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map_err(|what| {
            // The part before an `@` may be a password, however the address is split.
            let is_secret = text.contains('@');
            let what = if is_secret { "it is malformed" } else { &what };
            format!("{what}; expected {SHAPE}")
        })
    }
}

fn parse(text: &str) -> Result<StreamUrl, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it does not begin with nats:// or tls://")?;
    if scheme != "nats" && scheme != "tls" {
        return Err(format!("{scheme}:// is not supported"));
    }
    let (authority, stream) = rest.split_once('/').unwrap_or((rest, ""));
    if stream.is_empty() {
        return Err("no stream name".to_owned());
    }
    // The server's own rule.
    let illegal = |c: char| c.is_whitespace() || c.is_control() || "./\\*>".contains(c);
    if stream.contains(illegal) || stream.len() > 255 {
        return Err(format!("{stream:?} is not a valid stream name"));
    }
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    let login = login.map(|login| match login.split_once(':') {
        Some((user, pass)) => Some((plain(user)?, Some(plain(pass)?))),
        None => Some((plain(login)?, None)),
    });
    let server = |host: &str| {
        let server = format!("{scheme}://{host}").parse::<ServerAddr>().ok();
        server
            .filter(|it| !it.host().is_empty() && !it.as_url_str().contains('?'))
            .ok_or_else(|| format!("{host:?} is not a valid host"))
    };
    Ok(StreamUrl {
        servers: hosts.split(',').map(server).collect::<Result<_, _>>()?,
        login: login.map(|it| it.ok_or("wrong login")).transpose()?,
        stream: stream.to_owned(),
        shown: format!("{scheme}://{hosts}/{stream}"),
    })
}

/// A part of an address with its %XX turned into bytes.
fn plain(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let [high, low] = digits.map(digit);
        bytes.push(u8::try_from(high? << 4 | low?).ok()?);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).ok()
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
        assert_eq!(url.stream, "LOG");
        assert!(!url.servers[0].tls_required());
        assert_eq!(
            (url.servers[0].host(), url.servers[0].port()),
            ("host", 4222)
        );
        assert_eq!(url.login, None);
        let url = parse("tls://me:p%40ss%3A@[::1]:4333/a-b_c");
        assert!(url.servers[0].tls_required());
        assert_eq!(
            (url.servers[0].host(), url.servers[0].port()),
            ("::1", 4333)
        );
        assert_eq!(url.login, Some(("me".into(), Some("p@ss:".into()))));
        assert_eq!(url.shown, "tls://[::1]:4333/a-b_c");
        assert!(!format!("{url:?}").contains("p@ss"));
        let url = parse("nats://t0ken@a:1,b:2,c/S");
        assert_eq!(url.login, Some(("t0ken".into(), None)));
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
