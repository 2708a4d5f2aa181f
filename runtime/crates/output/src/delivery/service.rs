//! Delivery at work: every queue in its turn, many at a time, for as long as the process lives.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
};

use pattoo_base::{invariant::Invariant as _, log_folding::FaultLog};
use pattoo_spool::{Clocks, OutputId, PayloadAges, QueueId, Spool, SpoolError};

use super::{
    DeliverySettings, DeliveryStatus,
    log_throttling::{Line, LogThrottle},
    scheduler::QueueScheduler,
    sender::Sender,
    turn::{Concern, End, Turn},
};
use crate::NamedOutput;

/// How often the file is looked at for what other processes did.
const LOOK: Duration = Duration::from_secs(2);
/// How often it is looked whether the spool is still where it was.
const STAY: Duration = Duration::from_millis(500);
/// How often what is too old is dropped.
const SWEEP: Duration = Duration::from_mins(1);
/// How far the clock of a server may be from ours before that is said, in milliseconds.
const CLOCK_TOLERANCE: i64 = 5 * 60 * 1000;
/// How often [`Delivery::drain`] looks whether anything is left.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Delivers what is in a spool, until it is shut down.
#[derive(Debug)]
pub struct Delivery {
    spool: Spool,
    outputs: mpsc::UnboundedSender<Vec<NamedOutput>>,
    stop: watch::Sender<Option<Duration>>,
    service: JoinHandle<()>,
}

impl Delivery {
    /// Starts delivering: first what is in the spool, then whatever is stored. Call it within a tokio runtime.
    ///
    /// The file is looked through in the background; if it is damaged, what is intact is saved and delivered.
    pub fn start(spool: Spool, settings: DeliverySettings) -> Self {
        let (offer, offers) = mpsc::unbounded_channel();
        spool.watch(offer);
        let (outputs, reloads) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(None);
        let parallel = settings.parallel.max(1);
        let status = Arc::clone(&settings.status);
        status.configure(&settings.outputs);
        let service = Service {
            scheduler: QueueScheduler::new(jitter, settings.longest_wait).with_slots(parallel),
            sender: Arc::new(Sender::new(spool.clone(), settings)),
            spool: spool.clone(),
            turns: JoinSet::new(),
            running: HashMap::new(),
            slots: HashMap::new(),
            parallel,
            seen: None,
            retry_asked: spool.retry_asked(),
            ages: None,
            clock_is_off: false,
            status,
            log: LogThrottle::default(),
            spool_faults: FaultLog::default(),
        };
        let verify = spool.clone();
        tokio::spawn(async move {
            if let Err(error) = verify.verify().await {
                tracing::error!("{error}");
            }
        });
        let service = tokio::spawn(service.run(offers, reloads, stopped));
        Self { spool, outputs, stop, service }
    }

    /// Delivers to these outputs from now on, and tries at once whatever waits. Outputs whose settings did not change keep their
    /// connections; a turn that is running ends with the settings with which it began.
    pub fn reload(&self, outputs: Vec<NamedOutput>) {
        // It only ends with `self`.
        let _ = self.outputs.send(outputs);
    }

    /// Waits until nothing is queued, at most `bound`. Whether that came about.
    pub async fn drain(&self, bound: Duration) -> bool {
        let empty = async {
            loop {
                if self.spool.stats().await.is_ok_and(|stats| stats.queued == 0) {
                    return;
                }
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        tokio::time::timeout(bound, empty).await.is_ok()
    }

    /// Begins no further turn, and waits for those that are running, at most `bound`. A payload that is given up may have
    /// arrived: it stays in the spool and is sent again.
    pub async fn shutdown(self, bound: Duration) {
        // It may have ended by itself.
        let _ = self.stop.send(Some(bound));
        let _ = self.service.await;
    }
}

struct Service {
    sender: Arc<Sender>,
    spool: Spool,
    scheduler: QueueScheduler,
    turns: JoinSet<Turn>,
    running: HashMap<tokio::task::Id, QueueId>,
    /// How many turns of outputs are running.
    slots: HashMap<OutputId, usize>,
    /// How many turns each output may have at a time.
    parallel: usize,
    /// The state of the file when its queues were last read.
    seen: Option<(u64, i64)>,
    /// When another process last put payloads back into their queues.
    retry_asked: Option<SystemTime>,
    /// Known once the spool was read for the first time.
    ages: Option<PayloadAges>,
    /// It was said that the clock of the server is far from ours.
    clock_is_off: bool,
    status: Arc<DeliveryStatus>,
    log: LogThrottle,
    /// Faults of the spool.
    spool_faults: FaultLog,
}

impl Service {
    async fn run(
        mut self,
        mut offers: mpsc::UnboundedReceiver<QueueId>,
        mut reloads: mpsc::UnboundedReceiver<Vec<NamedOutput>>,
        mut stopped: watch::Receiver<Option<Duration>>,
    ) {
        let mut look = tokio::time::interval(LOOK);
        let mut sweep = tokio::time::interval(SWEEP);
        let mut stay = tokio::time::interval(STAY);
        let mut staying: Option<JoinHandle<()>> = None;
        for ticks in [&mut look, &mut sweep, &mut stay] {
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        loop {
            while let Some(queue) = self.next() {
                self.begin(queue);
            }
            let wake = self.scheduler.wake_at_of(|output| has_slot(&self.slots, output, self.parallel));
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = stopped.changed() => {
                    let bound = if changed.is_ok() { stopped.borrow().unwrap_or_default() } else { Duration::ZERO };
                    return self.end(bound).await;
                }
                Some(queue) = offers.recv() => {
                    self.scheduler.offer(queue);
                    // Whatever else came at the same time.
                    while let Ok(queue) = offers.try_recv() {
                        self.scheduler.offer(queue);
                    }
                }
                Some(outputs) = reloads.recv() => self.reload(&outputs),
                Some(ended) = self.turns.join_next_with_id() => self.ended(ended),
                () = sleep => {}
                _ = look.tick() => self.look().await,
                _ = sweep.tick() => self.sweep().await,
                _ = stay.tick() => if staying.as_ref().is_none_or(JoinHandle::is_finished) {
                    let spool = self.spool.clone();
                    staying = Some(tokio::spawn(async move { spool.keep_in_place().await }));
                },
            }
        }
    }

    /// The next queue of an output that has a slot.
    fn next(&mut self) -> Option<QueueId> {
        self.scheduler.next_of(Instant::now(), |output| has_slot(&self.slots, output, self.parallel))
    }

    fn reload(&mut self, outputs: &[NamedOutput]) {
        self.sender.configure(outputs);
        self.status.configure(outputs);
        self.scheduler.retry_now();
    }

    fn begin(&mut self, queue: QueueId) {
        let sender = Arc::clone(&self.sender);
        let works_on = queue.clone();
        let turn = self.turns.spawn(async move { sender.work(&works_on).await });
        let running = self.slots.entry(queue.output.clone()).or_default();
        *running = running.saturating_add(1);
        self.running.insert(turn.id(), queue);
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, Turn), tokio::task::JoinError>) {
        let (id, turn) = match ended {
            Ok((id, turn)) => (id, turn),
            Err(error) => (error.id(), Turn::of(End::Failed { text: error.to_string() })),
        };
        if let Some(queue) = self.running.remove(&id) {
            let running = self.slots.entry(queue.output.clone()).or_default();
            *running = running.checked_sub(1).or_broken("a turn that ended was counted", 0);
            let concern = self.scheduler.ended(queue.clone(), &turn, Instant::now());
            self.status.record(&queue.output, &turn, concern);
            self.status.set_server_clock(self.sender.server_clock());
            self.log(&queue, &turn, concern);
        }
    }

    /// Logs what changed.
    fn log(&mut self, queue: &QueueId, turn: &Turn, concern: Concern) {
        let help = turn.help.as_deref().map_or_else(String::new, |help| format!("; {help}"));
        match self.log.of(Instant::now(), queue, turn, concern) {
            Some(Line::Error(text)) => tracing::error!("{text}{help}"),
            Some(Line::Warning(text)) => tracing::warn!("{text}{help}"),
            Some(Line::Info(text)) => tracing::info!("{text}"),
            None => {
                if let Some(text) = turn.end.problem() {
                    tracing::debug!("not delivered: {text}");
                }
            }
        }
    }

    /// Picks up what other processes left in the spool, and at first what lay there already.
    async fn look(&mut self) {
        let retry_asked = self.spool.retry_asked();
        if self.retry_asked != retry_asked {
            self.retry_asked = retry_asked;
            self.scheduler.retry_now();
        }
        let looked = async {
            let now = self.spool.foreign_changes().await?;
            if self.seen == Some(now) {
                return Ok(());
            }
            for queue in self.spool.queues().await? {
                self.scheduler.offer(queue);
            }
            self.seen = Some(now);
            Ok::<_, SpoolError>(())
        };
        let looked = looked.await;
        self.log_spool(looked.as_ref().err());
    }

    /// Logs a fault of the spool, or its end.
    fn log_spool(&mut self, error: Option<&SpoolError>) {
        let now = Instant::now();
        let Some(error) = error else {
            if let Some(over) = self.spool_faults.works(now) {
                tracing::info!("the spool works again; over: {over}");
            }
            return;
        };
        if let Some(line) = self.spool_faults.failed(now, &error.to_string()) {
            tracing::error!("{line}");
        } else {
            tracing::debug!("{error}");
        }
    }

    /// Drops what is too old.
    async fn sweep(&mut self) {
        let swept = async {
            let (now, newest) = (Clocks::now(), self.spool.newest().await?);
            let server = self.sender.server_clock();
            self.compare_clocks(now, server);
            let ages = self.ages.get_or_insert_with(|| PayloadAges::new(self.spool.longest_age(), now, newest));
            let old = ages.expired(now, newest, server);
            self.spool.sweep(old).await
        };
        match swept.await {
            Ok(0) => {}
            Ok(dropped) => {
                tracing::error!("{dropped} payloads were deleted: they were in the spool longer than the limit `age`");
            }
            Err(error) => self.log_spool(Some(&error)),
        }
    }

    /// Says when the clock of the server is far from ours, and when that is over.
    fn compare_clocks(&mut self, now: Clocks, server: Option<i64>) {
        let Some(server) = server else { return };
        let ahead = now.ahead_of(server);
        let is_off = ahead.saturating_abs() > CLOCK_TOLERANCE;
        if is_off && !self.clock_is_off {
            let by = Duration::from_secs(ahead.unsigned_abs().div_euclid(1000));
            let side = if ahead > 0 { "ahead of" } else { "behind" };
            tracing::warn!(
                "the clock of this machine is {} {side} the clock of the server: if the server is right, timestamps of datapoints are wrong",
                humantime::format_duration(by)
            );
        }
        if self.clock_is_off && !is_off {
            tracing::info!("the clock of this machine agrees with the clock of the server again");
        }
        self.clock_is_off = is_off;
    }

    async fn end(mut self, bound: Duration) {
        let ended = async { while self.turns.join_next().await.is_some() {} };
        if tokio::time::timeout(bound, ended).await.is_err() {
            tracing::warn!(
                "{} attempts to send were abandoned; their payloads are still in the spool",
                self.turns.len()
            );
        }
        self.turns.shutdown().await;
    }
}

/// Whether an output may have another turn.
fn has_slot(running: &HashMap<OutputId, usize>, output: &OutputId, parallel: usize) -> bool {
    running.get(output).is_none_or(|running| *running < parallel)
}

/// A random number below 1.
fn jitter() -> f64 {
    let bits = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}
