//! The logs on an image: some that sync and one that does not, what is done to them
//! before and while the power goes, and what must hold afterwards.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use proglog_testkit::{Append, Ended, Life, Running};

/// Logs that sync.
const LOGS: usize = 3;

/// After so many cuts a log is ended and a new one begun, about.
const LOG_CUTS: u8 = 6;

/// No append takes so long.
const LONG: Duration = Duration::from_secs(60);

/// All logs of a run.
#[derive(Default)]
pub struct Logs {
    image: PathBuf,
    room: PathBuf,
    /// The last one is the control.
    all: Vec<Log>,
    begun: usize,
    counts: Counts,
    /// How often the log that does not sync lost what it acknowledged.
    pub control_losses: usize,
}

/// What was done over all logs.
#[derive(Default)]
struct Counts {
    kills: usize,
    cut_short: usize,
    acknowledged: usize,
    /// Appends that were told of success by a file system that had gone already.
    told_late: usize,
}

/// One log, and what is its own.
struct Log {
    life: Life,
    /// Whether it is the control, which does not sync.
    is_control: bool,
    /// For inputs and outputs, which no power cut takes.
    scratch: PathBuf,
    rng: Rng,
    /// The append that the cut ended.
    last: Option<(Append, Ended)>,
    counts: Counts,
    /// Whether it has come to its end, or lost records.
    is_over: bool,
}

impl Logs {
    /// Begins anew on an empty image. `room` has place for inputs and outputs, which no
    /// power cut takes.
    pub fn move_to(&mut self, image: &Path, room: &Path, rng: &mut Rng) {
        self.image = image.to_path_buf();
        self.room = room.to_path_buf();
        self.all.clear();
        for number in 0..=LOGS {
            fs::create_dir(self.room.join(format!("scratch{number}"))).unwrap();
            let log = self.begin(number, rng);
            self.all.push(log);
        }
    }

    fn begin(&mut self, number: usize, rng: &mut Rng) -> Log {
        self.begun += 1;
        let path = self.image.join(format!("log{}", self.begun));
        let is_control = number == LOGS;
        let mut rng = rng.fork();
        Log {
            life: Life::new(path, &mut rng, is_control),
            is_control,
            scratch: self.room.join(format!("scratch{number}")),
            rng,
            last: None,
            counts: Counts::default(),
            is_over: false,
        }
    }

    /// The same for every log, all at once.
    fn each(&mut self, f: impl Fn(&mut Log) -> Result<(), String> + Sync) -> Result<(), String> {
        let results: Vec<_> = thread::scope(|scope| {
            let f = &f;
            let threads = self.all.iter_mut().map(|log| scope.spawn(move || f(log)));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        results.into_iter().collect()
    }

    /// Some appends to each log, most of them killed; some files happen to be written
    /// back.
    pub fn before_the_cut(&mut self, rng: &mut Rng) -> Result<(), String> {
        self.each(|log| match log.append_and_kill() {
            // A cut before this one may have left it in any state.
            Err(_) if log.is_control => {
                log.is_over = true;
                Ok(())
            }
            done => done,
        })?;
        for _ in 0..rng.u8(..3) {
            self.write_back_one(rng);
        }
        Ok(())
    }

    /// As the kernel does when it likes: one file or directory is written back.
    fn write_back_one(&self, rng: &mut Rng) {
        let life = &self.all[rng.usize(..self.all.len())].life;
        let mut paths = vec![life.log().to_path_buf()];
        let entries = fs::read_dir(life.log()).into_iter().flatten();
        paths.extend(entries.flatten().map(|entry| entry.path()));
        if let Ok(file) = File::open(&paths[rng.usize(..paths.len())]) {
            let _ = file.sync_data();
        }
    }

    /// An append to each log at once; at the moment `cut` is called.
    pub fn during(&mut self, rng: &mut Rng, moment: Duration, cut: impl FnOnce()) {
        let mut running: Vec<_> = self.all.iter_mut().map(Log::start).collect();
        let over = AtomicBool::new(false);
        let (logs, ended) = (&*self, &over);
        thread::scope(|scope| {
            if rng.bool() {
                let mut rng = rng.fork();
                scope.spawn(move || {
                    while !ended.load(Ordering::Relaxed) {
                        logs.write_back_one(&mut rng);
                        thread::sleep(Duration::from_micros(rng.u64(..5000)));
                    }
                });
            }
            thread::sleep(moment);
            for (_, run) in &mut running {
                run.note();
            }
            cut();
            ended.store(true, Ordering::Relaxed);
        });
        // They meet the cut by themselves, or wait for input.
        let long_enough = moment + Duration::from_millis(20);
        for (log, (append, run)) in self.all.iter_mut().zip(running) {
            let ended = run.end_within(long_enough);
            log.counts.cut_short += usize::from(!ended.is_ok());
            log.counts.told_late += usize::from(!ended.late.is_empty());
            log.last = Some((append, ended));
        }
    }

    /// After the mount: everything acknowledged is there; then the next append goes on,
    /// or is left to come before the next cut.
    pub fn after(&mut self, rng: &mut Rng) -> Result<(), String> {
        self.each(Log::after_the_cut)?;
        for number in 0..self.all.len() {
            let log = &mut self.all[number];
            if !log.is_over {
                continue;
            }
            self.control_losses += usize::from(log.is_control);
            self.count(number);
            fs::remove_dir_all(self.all[number].life.log()).unwrap();
            self.all[number] = self.begin(number, rng);
        }
        Ok(())
    }

    /// Ends all logs that sync.
    pub fn end(&mut self) -> Result<(), String> {
        self.each(|log| if log.is_control { Ok(()) } else { log.go_on() })?;
        (0..self.all.len()).for_each(|number| self.count(number));
        Ok(())
    }

    fn count(&mut self, number: usize) {
        let counts = std::mem::take(&mut self.all[number].counts);
        self.counts.kills += counts.kills;
        self.counts.cut_short += counts.cut_short;
        self.counts.acknowledged += counts.acknowledged;
        self.counts.told_late += counts.told_late;
    }

    /// What was done, in words.
    pub fn tell(&self) -> String {
        format!(
            "{} logs, {} appends cut short, {} killed before a cut, {} records acknowledged, \
             none lost ({} appends acknowledged more during the cut, which does not count); the control without fsync lost records in {} cuts",
            self.begun,
            self.counts.cut_short,
            self.counts.kills,
            self.counts.acknowledged,
            self.counts.told_late,
            self.control_losses
        )
    }
}

impl Log {
    fn start(&mut self) -> (Append, Running) {
        let append = self.life.next_append(&mut self.rng);
        let run = append.start(self.life.log(), &self.scratch);
        (append, run)
    }

    fn append_and_kill(&mut self) -> Result<(), String> {
        for _ in 0..self.rng.u8(..3) {
            let moment = Duration::from_micros(self.rng.u64(..40_000));
            let (append, run) = self.start();
            let ended = run.end_within(moment);
            self.counts.kills += usize::from(ended.was_killed());
            if !ended.is_ok() && !ended.was_killed() {
                return Err(self.about("does not go on", &append, &ended));
            }
            // What a killed append left may be in the page cache alone.
            self.take_over(&append, &ended)
                .and_then(|()| self.life.check(false))
                .map_err(|what| self.about(&what, &append, &ended))?;
        }
        Ok(())
    }

    fn after_the_cut(&mut self) -> Result<(), String> {
        let Some((append, ended)) = self.last.take() else {
            return Ok(());
        };
        let result = self
            .take_over(&append, &ended)
            .and_then(|()| self.life.check_acknowledged())
            .and_then(|()| self.life.verify(false));
        if self.is_control {
            self.is_over |= result.is_err();
            return Ok(());
        }
        result.map_err(|what| self.about(&what, &append, &ended))?;
        self.is_over = self.rng.u8(..LOG_CUTS) == 0;
        if self.is_over || self.rng.bool() {
            self.go_on()?;
        }
        Ok(())
    }

    /// An append that nothing cuts short.
    fn go_on(&mut self) -> Result<(), String> {
        let (append, run) = self.start();
        let ended = run.end_within(LONG);
        if !ended.is_ok() {
            return Err(self.about("does not go on", &append, &ended));
        }
        self.take_over(&append, &ended)
            .and_then(|()| self.life.check(true))
            .and_then(|_| self.life.verify(true))
            .map_err(|what| self.about(&what, &append, &ended))
    }

    fn take_over(&mut self, append: &Append, ended: &Ended) -> Result<(), String> {
        self.counts.acknowledged += if ended.is_ok() {
            append.values.len()
        } else {
            ended.offsets()?.len()
        };
        self.life.take_over(append, ended)
    }

    fn about(&self, what: &str, append: &Append, ended: &Ended) -> String {
        let (log, kind, shape) = (self.life.log().display(), self.life.kind(), append.shape());
        let (status, said) = (ended.status, ended.said());
        format!("{what}: {log}, {kind}: {shape}: {status:?}: {said}")
    }
}
