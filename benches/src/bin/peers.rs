//! Other engines on the same lines: `peers ENGINE DIR append BATCH < lines`, and
//! `peers ENGINE DIR read`, which prints every record it finds.

use std::env;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use commitlog::message::{MessageBuf, MessageSet};
use commitlog::{CommitLog, LogOptions, ReadLimit};
use mrecordlog::{MultiRecordLog, SyncPolicy};

const QUEUE: &str = "lines";

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["commitlog", dir, "append", batch] => commitlog_append(dir, batch.parse()?),
        ["commitlog", dir, "read"] => commitlog_read(dir),
        ["mrecordlog", dir, "append", batch] => records_append(dir, batch.parse()?),
        ["mrecordlog", dir, "read"] => records_read(dir),
        _ => bail!("peers commitlog|mrecordlog DIR append BATCH|read"),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// Hands the lines of stdin to `take`, in batches.
fn batches(size: usize, mut take: impl FnMut(&[Vec<u8>]) -> Result<()>) -> Result<()> {
    let mut lines = BufReader::with_capacity(256 << 10, io::stdin().lock());
    let mut batch = Vec::with_capacity(size);
    loop {
        let mut line = Vec::new();
        let ended = lines.read_until(b'\n', &mut line)? == 0;
        if !ended {
            line.pop();
            batch.push(line);
        }
        if batch.len() == size || (ended && !batch.is_empty()) {
            take(&batch)?;
            batch.clear();
        }
        if ended {
            return Ok(());
        }
    }
}

fn commitlog_append(dir: &str, batch: usize) -> Result<()> {
    let mut log = CommitLog::new(LogOptions::new(dir))?;
    batches(batch, |records| {
        if let [record] = records {
            log.append_msg(record).context("append_msg")?;
        } else {
            let mut messages = MessageBuf::default();
            for record in records {
                messages.push(record).ok().context("push")?;
            }
            log.append(&mut messages).context("append")?;
        }
        Ok(())
    })?;
    Ok(log.flush()?)
}

fn commitlog_read(dir: &str) -> Result<()> {
    let log = CommitLog::new(LogOptions::new(dir))?;
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    let mut next = 0;
    while next < log.next_offset() {
        let messages = log.read(next, ReadLimit::max_bytes(1 << 20))?;
        for message in messages.iter() {
            out.write_all(message.payload())?;
            out.write_all(b"\n")?;
            next = message.offset() + 1;
        }
    }
    Ok(out.flush()?)
}

fn records_append(dir: &str, batch: usize) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let runtime = runtime()?;
    let late = SyncPolicy::OnDelay(Duration::from_secs(60));
    let mut log = runtime.block_on(MultiRecordLog::open_with_prefs(Path::new(dir), late))?;
    runtime.block_on(log.create_queue(QUEUE))?;
    batches(batch, |records| {
        let lines = records.iter().map(|line| &line[..]);
        Ok(runtime
            .block_on(log.append_records(QUEUE, None, lines))
            .map(drop)?)
    })?;
    Ok(runtime.block_on(log.sync())?)
}

fn records_read(dir: &str) -> Result<()> {
    let log = runtime()?.block_on(MultiRecordLog::open(Path::new(dir)))?;
    let mut out = BufWriter::with_capacity(256 << 10, io::stdout().lock());
    let records = log
        .range(QUEUE, ..)
        .ok()
        .context("the queue is not there")?;
    for (_, record) in records {
        out.write_all(&record)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
