//! The plainest publisher that the NATS protocol allows, to hold `proglog push` against:
//! `plain_nats HOST:PORT SUBJECT IN_FLIGHT [headers] < lines` publishes each line of
//! stdin and waits for acknowledgements when so many are missing; 0 waits for none but
//! the last (a subject without a stream). With `headers` each message has those that
//! make push's exactly once, for a new stream called as the subject. It checks nothing
//! and goes on after nothing.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Bytes gathered before they are sent, while there is more to send.
const GATHER_BYTES: usize = 64 << 10;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let ([address, subject, in_flight], with_headers) = (match &words[..] {
        [three @ .., last] if words.len() == 4 && last == "headers" => (three, true),
        three => (three, false),
    }) else {
        bail!("plain_nats HOST:PORT SUBJECT IN_FLIGHT [headers] < lines");
    };
    let in_flight: usize = in_flight.parse()?;
    let lines: Vec<String> = io::stdin().lock().lines().collect::<io::Result<_>>()?;
    let mut server = Server::connect(address)?;
    let begun = Instant::now();
    let mut missing = 0;
    let mut out = Vec::with_capacity(2 * GATHER_BYTES);
    for (before, line) in lines.iter().enumerate() {
        let reply = if in_flight > 0 { " in.1" } else { "" };
        if with_headers {
            let head = headers(subject, before);
            let (head_bytes, bytes) = (head.len(), head.len() + line.len());
            write!(
                out,
                "HPUB {subject}{reply} {head_bytes} {bytes}\r\n{head}{line}\r\n"
            )?;
        } else {
            write!(out, "PUB {subject}{reply} {}\r\n{line}\r\n", line.len())?;
        }
        missing += 1;
        let full = in_flight > 0 && missing == in_flight;
        if full || out.len() >= GATHER_BYTES {
            server.write.write_all(&out)?;
            out.clear();
        }
        if full {
            // What is there already is taken too, so that the next ones go together.
            missing -= 1;
            server.acknowledgement()?;
            while missing > 0 && !server.read.buffer().is_empty() {
                missing -= 1;
                server.acknowledgement()?;
            }
        }
    }
    server.write.write_all(&out)?;
    if in_flight > 0 {
        for _ in 0..missing {
            server.acknowledgement()?;
        }
    } else {
        server.write.write_all(b"PING\r\n")?;
        while server.line()? != "PONG" {}
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{:.0} messages a second", lines.len() as f64 / seconds);
    Ok(())
}

/// The headers of the message behind so many.
fn headers(stream: &str, before: usize) -> String {
    let log = "0123456789abcdef-0";
    let behind = match before.checked_sub(1) {
        Some(behind) => format!("Nats-Expected-Last-Msg-Id: {stream}-{log}-{behind}\r\n"),
        None => String::new(),
    };
    format!(
        "NATS/1.0\r\nNats-Msg-Id: {stream}-{log}-{before}\r\n\
         Nats-Expected-Last-Sequence: {before}\r\n{behind}Proglog-Log: {log}\r\n\
         Proglog-Offset: {before}\r\n\r\n"
    )
}

struct Server {
    read: BufReader<TcpStream>,
    write: TcpStream,
}

impl Server {
    fn connect(address: &str) -> Result<Self> {
        let mut write = TcpStream::connect(address)?;
        write.set_nodelay(true)?;
        let read = BufReader::with_capacity(64 << 10, write.try_clone()?);
        write.write_all(b"CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB in.1 1\r\n")?;
        let mut server = Self { read, write };
        server.line()?;
        Ok(server)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.read.read_line(&mut line)? == 0 {
            bail!("the server has gone");
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits for the next acknowledgement.
    fn acknowledgement(&mut self) -> Result<()> {
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.write.write_all(b"PONG\r\n")?;
            } else if line.starts_with("MSG ") {
                let bytes: usize = line.rsplit(' ').next().context("a size")?.parse()?;
                let mut payload = vec![0; bytes + 2];
                self.read.read_exact(&mut payload)?;
                let text = String::from_utf8_lossy(&payload);
                if text.contains("error") {
                    bail!("{text}");
                }
                return Ok(());
            } else if line.starts_with("-ERR") {
                bail!("{line}");
            }
        }
    }
}
