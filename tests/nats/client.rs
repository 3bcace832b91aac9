//! A NATS client of a few lines, so that streams are made, spoilt and looked at by
//! other means than the product's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

/// One connection, one request at a time.
pub struct Client {
    read: BufReader<TcpStream>,
    write: TcpStream,
    requests: u32,
}

impl Client {
    /// Connects; fails while the server is not there.
    pub fn connect(port: u16) -> std::io::Result<Self> {
        let write = TcpStream::connect(("127.0.0.1", port))?;
        write.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut read = BufReader::new(write.try_clone()?);
        let mut info = String::new();
        read.read_line(&mut info)?;
        if !info.starts_with("INFO ") {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        let mut client = Self {
            read,
            write,
            requests: 0,
        };
        client.send(
            b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nSUB in.* 1\r\n",
        )?;
        Ok(client)
    }

    fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write.write_all(bytes)
    }

    /// Sends a message and gives what is answered, without headers.
    pub fn request(&mut self, subject: &str, payload: &[u8]) -> std::io::Result<Vec<u8>> {
        self.requests += 1;
        let inbox = format!("in.{}", self.requests);
        let head = format!("PUB {subject} {inbox} {}\r\n", payload.len());
        self.send(&[head.as_bytes(), payload, b"\r\n"].concat())?;
        loop {
            let mut line = String::new();
            if self.read.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["PING"] => self.send(b"PONG\r\n")?,
                [kind @ ("MSG" | "HMSG"), to, _, sizes @ ..] => {
                    let number = |text: &&str| text.parse::<usize>().unwrap();
                    let all = sizes.last().map(number).unwrap();
                    let mut bytes = vec![0; all + 2];
                    let heads = if *kind == "HMSG" {
                        number(&sizes[0])
                    } else {
                        0
                    };
                    self.read.read_exact(&mut bytes)?;
                    if *to == inbox {
                        bytes.truncate(all);
                        return Ok(bytes.split_off(heads));
                    }
                }
                _ => {}
            }
        }
    }

    /// Asks JetStream.
    pub fn api(&mut self, subject: &str, request: &Value) -> std::io::Result<Value> {
        let payload = request.to_string();
        let answer = self.request(&format!("$JS.API.{subject}"), payload.as_bytes())?;
        serde_json::from_slice(&answer).map_err(Into::into)
    }

    /// Makes a stream; `more` are settings.
    pub fn create(&mut self, name: &str, more: &Value) {
        let mut config = json!({
            "name": name, "subjects": [name], "storage": "file", "retention": "limits",
            "discard": "old", "num_replicas": 1, "max_msgs": -1, "max_bytes": -1,
            "max_consumers": -1, "max_age": 0,
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        let answer = self.api(&format!("STREAM.CREATE.{name}"), &config).unwrap();
        assert!(answer.get("error").is_none(), "{answer}");
    }

    /// The headers and the value of a message.
    pub fn get(&mut self, stream: &str, sequence: u64) -> (String, Vec<u8>) {
        let subject = format!("STREAM.MSG.GET.{stream}");
        let answer = self.api(&subject, &json!({"seq": sequence})).unwrap();
        let bytes = |field: &str| {
            let text = answer["message"][field].as_str().unwrap_or_default();
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap()
        };
        (String::from_utf8(bytes("hdrs")).unwrap(), bytes("data"))
    }

    /// Removes a message, or fails.
    pub fn delete(&mut self, stream: &str, sequence: u64) {
        let answer = self
            .api(
                &format!("STREAM.MSG.DELETE.{stream}"),
                &json!({"seq": sequence}),
            )
            .unwrap();
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// Removes the messages below a sequence.
    pub fn purge(&mut self, stream: &str, below: u64) {
        let answer = self
            .api(&format!("STREAM.PURGE.{stream}"), &json!({"seq": below}))
            .unwrap();
        assert_eq!(answer["success"], true, "{answer}");
    }

    /// What the stream says of itself, if it is there.
    pub fn info(&mut self, stream: &str) -> std::io::Result<Value> {
        self.api(&format!("STREAM.INFO.{stream}"), &json!({}))
    }
}

/// How many messages a stream has, and the last sequence; 0 while nobody answers.
pub fn state(port: u16, stream: &str) -> (u64, u64) {
    let info = Client::connect(port).and_then(|mut client| client.info(stream));
    let Ok(info) = info else { return (0, 0) };
    let number = |name: &str| info["state"][name].as_u64().unwrap_or(0);
    (number("messages"), number("last_seq"))
}
