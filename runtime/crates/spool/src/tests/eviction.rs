//! The limit of size between agents: who has to give up something.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{open_with, payload, put, queue, server};
use crate::{Clocks, PayloadAges, Selection, Spool, SpoolLimits, StoredId};

const AGENTS: [char; 4] = ['a', 'b', 'c', 'd'];
const LIMITS: SpoolLimits = SpoolLimits { bytes: 40_000, age: Duration::from_hours(24) };
const SHARE: u64 = LIMITS.bytes / AGENTS.len() as u64;

#[derive(Debug, Clone)]
enum Op {
    Store {
        agent: usize,
        size: usize,
    },
    /// The oldest of an agent is delivered.
    Deliver(usize),
    /// The oldest of an agent is put into quarantine.
    Quarantine(usize),
    Retry,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..AGENTS.len(), prop_oneof![1usize..3_000, 5_000usize..12_000])
            .prop_map(|(agent, size)| Op::Store { agent, size }),
        2 => (0..AGENTS.len()).prop_map(Op::Deliver),
        2 => (0..AGENTS.len()).prop_map(Op::Quarantine),
        1 => Just(Op::Retry),
        1 => Just(Op::Reopen),
    ]
}

/// What each agent holds, by the file.
async fn held(spool: &Spool) -> BTreeMap<char, Vec<(StoredId, u64)>> {
    let mut held: BTreeMap<char, Vec<_>> = BTreeMap::new();
    for info in spool.list(Selection::default(), u32::MAX).await.unwrap() {
        let digit = info.agent.chars().next().unwrap();
        held.entry(digit).or_default().push((info.id, info.bytes));
    }
    held
}

fn bytes(held: &BTreeMap<char, Vec<(StoredId, u64)>>, digit: char) -> u64 {
    held.get(&digit).into_iter().flatten().map(|(_, bytes)| bytes).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Two handles stand for two processes; the agent `a` keeps within its share, the others do not.
    #[test]
    fn agent_within_its_share_loses_no_payload_to_others(
        ops in prop::collection::vec((op(), any::<bool>()), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut spools = [open_with(folder.path(), LIMITS), open_with(folder.path(), LIMITS)];
            let mut kept: Vec<StoredId> = Vec::new();
            for (op, first) in ops {
                let at = usize::from(!first);
                let before = held(&spools[at]).await;
                match op {
                    Op::Store { agent: number, size } => {
                        let digit = AGENTS[number];
                        if digit == 'a' && bytes(&before, 'a') + size as u64 > SHARE {
                            continue;
                        }
                        match spools[at].store(vec![payload(queue(digit), "x".repeat(size))]).await {
                            Ok(ids) if digit == 'a' => kept.extend(ids),
                            Ok(_) => {}
                            // Only what is more than a share can find no room, and then nothing was dropped for it.
                            Err(error) => {
                                assert!(digit != 'a' && size as u64 > SHARE, "{error}");
                                assert_eq!(held(&spools[at]).await, before);
                            }
                        }
                    }
                    Op::Deliver(number) => {
                        let next = spools[at].next(&queue(AGENTS[number])).await.unwrap();
                        if let Some(oldest) = next.first() {
                            spools[at].delivered(oldest.id, &server()).await.unwrap();
                            kept.retain(|id| *id != oldest.id);
                        }
                    }
                    Op::Quarantine(number) => {
                        if let Some((id, _)) = before.get(&AGENTS[number]).and_then(|held| held.first()) {
                            spools[at].quarantine(*id, "for a test").await.unwrap();
                        }
                    }
                    Op::Retry => {
                        spools[at].retry(Selection::default()).await.unwrap();
                    }
                    Op::Reopen => {
                        spools[at].close();
                        spools[at] = open_with(folder.path(), LIMITS);
                    }
                }
                let after = held(&spools[at]).await;
                let of_a: Vec<StoredId> = after.get(&'a').into_iter().flatten().map(|(id, _)| *id).collect();
                assert_eq!(of_a, kept, "what keeps within its share stays");
                let all: u64 = AGENTS.iter().map(|digit| bytes(&after, *digit)).sum();
                assert!(all <= LIMITS.bytes, "{all}");
                let stats = spools[at].stats().await.unwrap();
                assert_eq!(stats.queued_bytes + stats.quarantined_bytes, all);
                // No agent goes below its share for another.
                for digit in AGENTS {
                    let lost = bytes(&before, digit) > bytes(&after, digit);
                    let delivered = matches!(op, Op::Deliver(number) if AGENTS[number] == digit);
                    let largest = before.get(&digit).into_iter().flatten().map(|(_, bytes)| *bytes).max();
                    assert!(
                        !lost || delivered || bytes(&after, digit) + largest.unwrap_or(0) > SHARE,
                        "{digit} held {} and holds {}", bytes(&before, digit), bytes(&after, digit)
                    );
                }
            }
        });
    }
}

#[tokio::test]
async fn greedy_agent_evicts_only_its_own_oldest_payloads() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open_with(folder.path(), SpoolLimits { bytes: 1 << 20, ..SpoolLimits::default() });
    let mut good = Vec::new();
    for _ in 0..120 {
        good.push(put(&spool, 'a', "g".repeat(1000)).await);
        for _ in 0..3 {
            put(&spool, 'b', "x".repeat(20_000)).await;
        }
    }
    let held = held(&spool).await;
    let of_good: Vec<StoredId> = held[&'a'].iter().map(|(id, _)| *id).collect();
    assert_eq!(of_good, good);
    let last = held[&'b'].iter().map(|(id, _)| id.0).collect::<Vec<_>>();
    assert!(last.windows(2).all(|two| two[1] - two[0] <= 2), "the newest are kept: {last:?}");
}

#[tokio::test]
async fn payloads_beyond_a_limit_are_dropped_oldest_first_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let limits = SpoolLimits { bytes: 1000, age: Duration::from_hours(1) };
    let spool = open_with(folder.path(), limits);
    let first = put(&spool, 'a', "x".repeat(100)).await;
    let quarantined = put(&spool, 'a', "q".repeat(100)).await;
    spool.quarantine(quarantined, "for a test").await.unwrap();
    for _ in 0..8 {
        put(&spool, 'a', "y".repeat(100)).await;
    }
    assert_eq!(spool.stats().await.unwrap().dropped, 0);
    put(&spool, 'a', "z".repeat(100)).await;
    assert!(spool.show(quarantined).await.unwrap().is_none(), "quarantine goes first");
    assert!(spool.show(first).await.unwrap().is_some());
    put(&spool, 'a', "z".repeat(100)).await;
    assert!(spool.show(first).await.unwrap().is_none(), "then the oldest");
    let stats = spool.stats().await.unwrap();
    assert_eq!((stats.queued, stats.queued_bytes, stats.quarantined, stats.dropped), (10, 1000, 0, 2));
    let error = spool.store(vec![payload(queue('a'), "w".repeat(1001))]).await;
    assert!(error.unwrap_err().to_string().contains("1001"));

    let newest = spool.newest().await.unwrap();
    let mut ages = PayloadAges::new(limits.age, Clocks { boot: 0, wall: 0 }, 0);
    let later = |boot| Clocks { boot, wall: 0 };
    assert_eq!(spool.sweep(ages.expired(later(120_000), newest, None)).await.unwrap(), 0);
    assert_eq!(spool.sweep(ages.expired(later(3_719_000), newest, None)).await.unwrap(), 0);
    assert_eq!(spool.sweep(ages.expired(later(3_721_000), newest, None)).await.unwrap(), 10);
    assert_eq!(spool.stats().await.unwrap().dropped, 12);
}
