//! The address of a stream, and the options for the login and TLS. The address is never
//! part of a message before its login is removed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use proglog::log::error::reason;

use super::{Trouble, cannot};
use crate::commands::{Failure, Status};

/// How a password is written in an address.
const CODED: &str = "characters with a meaning there are written as %XX: %40 is @";

/// The help of the address.
pub const HELP: &str = "nats://[user:pass@]host[:port]/STREAM, or tls://; several hosts with \
                        commas; or STREAM, with the servers and the login in NATS_URL";

/// Login and TLS, from files.
#[derive(Debug, clap::Args)]
pub struct Access {
    /// Read a JWT and its key from this file, as written by nsc
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// Read the password from this file, or the token if the address has no user
    #[arg(long, value_name = "FILE", conflicts_with = "creds")]
    password_file: Option<PathBuf>,
    /// Identify with this client certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the client certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Trust these certificate authorities too
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
}

/// A stream on a server, or on one of several that form a cluster.
pub struct Address {
    /// The servers, without a login.
    pub servers: Vec<ServerAddr>,
    /// A user and the password, or a token.
    login: Option<(String, Option<String>)>,
    /// The stream's name.
    pub stream: String,
    /// The address without a login.
    pub shown: String,
}

impl Address {
    /// Parses an address. The error does not contain the text, which may be a password.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let from_env = env::var("NATS_URL");
        let message = if text.contains("://") || from_env.is_ok() {
            "invalid address of a stream"
        } else {
            "the address does not begin with nats:// or tls://, and NATS_URL is not set"
        };
        let failure = || Failure::new(Status::Failed, message).hint(HELP).hint(CODED);
        Self::parse(text, from_env.ok()).ok_or_else(failure)
    }

    fn parse(text: &str, from_env: Option<String>) -> Option<Self> {
        let (servers, stream) = if text.contains("://") {
            let (servers, stream) = text.rsplit_once('/')?;
            (servers.to_owned(), stream)
        } else {
            (from_env?, text)
        };
        // The server's own rule, and a word that may be part of a password.
        let illegal = |c: char| c.is_whitespace() || c.is_control() || "./\\*>@:".contains(c);
        if stream.is_empty() || stream.contains(illegal) || stream.len() > 255 {
            return None;
        }
        let scheme = servers.split_once("://").map_or("nats", |(it, _)| it);
        let mut address = Self {
            servers: Vec::new(),
            login: None,
            stream: stream.to_owned(),
            shown: String::new(),
        };
        for server in servers.split(',') {
            let server = match server.split_once("://") {
                Some(_) => server.to_owned(),
                None => format!("{scheme}://{server}"),
            };
            let mut url = server.parse::<ServerAddr>().ok()?.into_inner();
            let decoded = |text| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
            if !url.username().is_empty() {
                let password = url.password().map(|text| decoded(text).ok_or(()));
                address.login = Some((decoded(url.username())?, password.transpose().ok()?));
            }
            url.set_username("").ok()?;
            url.set_password(None).ok()?;
            if url.path() == "/" {
                url.set_path("");
            }
            let shown = url.to_string();
            let (scheme, host) = shown.split_once("://")?;
            if !["nats", "tls"].contains(&scheme)
                || host.is_empty()
                || host.contains(['/', '?', '#'])
            {
                return None;
            }
            address.shown = format!("{}{shown},", address.shown);
            address.servers.push(ServerAddr::from_url(url).ok()?);
        }
        address.shown = format!("{}/{stream}", address.shown.trim_end_matches(','));
        Some(address)
    }

    /// The options for a connection with this login.
    pub async fn options(&self, access: &Access) -> Result<ConnectOptions, Trouble> {
        let tls = [&access.tls_ca, &access.tls_cert, &access.tls_key];
        for path in tls.into_iter().flatten() {
            fs::File::open(path).map_err(|error| unreadable(path, &error))?;
        }
        let must_be_tls = self.servers.iter().any(ServerAddr::tls_required);
        let with_tls = tls.iter().any(|it| it.is_some());
        let mut options = ConnectOptions::new().require_tls(must_be_tls || with_tls);
        if let Some(ca) = &access.tls_ca {
            options = options.add_root_certificates(ca.clone());
        }
        if let Some((cert, key)) = access.tls_cert.as_ref().zip(access.tls_key.as_ref()) {
            options = options.add_client_certificate(cert.clone(), key.clone());
        }
        let mut login = self.login.clone();
        if let Some(path) = &access.password_file {
            let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
            let text = text.lines().next().unwrap_or_default().to_owned();
            login = Some(match login {
                Some((user, _)) => (user, Some(text)),
                None => (text, None),
            });
        }
        options = match login {
            Some((token, None)) => options.token(token),
            Some((user, Some(password))) => options.user_and_password(user, password),
            None => options,
        };
        match &access.creds {
            Some(path) => {
                let options = options.credentials_file(path).await;
                options.map_err(|error| unreadable(path, &error))
            }
            None => Ok(options),
        }
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Trouble {
    let (file, why) = (path.display(), reason(error));
    cannot(format!("{file}: no credentials: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Address {
        Address::new(text).map_err(|it| it.message).unwrap()
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
        let url = parse("tls://me:p%40s%23s%3A@[::1]:4333/a-b_c");
        assert!(url.servers[0].tls_required());
        assert_eq!(
            (url.servers[0].host(), url.servers[0].port()),
            ("::1", 4333)
        );
        assert_eq!(url.login, Some(("me".into(), Some("p@s#s:".into()))));
        assert_eq!(url.shown, "tls://[::1]:4333/a-b_c");
        let url = parse("nats://t0ken@a:1,b:2,nats://c/S");
        assert_eq!(url.login, Some(("t0ken".into(), None)));
        let ports: Vec<u16> = url.servers.iter().map(ServerAddr::port).collect();
        assert_eq!(ports, [1, 2, 4222]);
        assert_eq!(url.shown, "nats://a:1,nats://b:2,nats://c/S");
    }

    #[test]
    fn an_invalid_address_does_not_appear_in_the_error() {
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
            "nats://host?x/LOG",
            "nats://me:secret",
            "nats://me:secret/LOG",
            "nats://me:sec/ret@host/LOG",
            "nats://me:sec#ret@host/LOG",
            "nats:/me:secret@host/LOG",
            "me:secret@host/LOG",
            "nats://host/me:secret@LOG",
            "nats://me:secret@host/A B",
            "nats://me:secret@ho st/LOG",
            "nats://me:sec%ffret@host/LOG",
        ] {
            let Err(failure) = Address::new(text) else {
                panic!("{text}");
            };
            assert!(!failure.message.contains("sec"), "{}", failure.message);
        }
    }
}
