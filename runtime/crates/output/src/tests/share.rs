//! The limit of size between agents: who has to give up something.

use std::collections::BTreeMap;

use crate::pattoo::Body;
use proptest::prelude::*;

use super::{agent, open_with, program, put};
use crate::{Lane, Selection, ServerUrl, Spool, SpoolLimits, StoredId};

const AGENTS: [char; 4] = ['a', 'b', 'c', 'd'];
const LIMITS: SpoolLimits = SpoolLimits { bytes: 40_000, age: std::time::Duration::from_hours(24) };
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
    SetAside(usize),
    Retry,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0..AGENTS.len(), prop_oneof![1usize..3_000, 5_000usize..12_000])
            .prop_map(|(agent, size)| Op::Store { agent, size }),
        2 => (0..AGENTS.len()).prop_map(Op::Deliver),
        2 => (0..AGENTS.len()).prop_map(Op::SetAside),
        1 => Just(Op::Retry),
        1 => Just(Op::Reopen),
    ]
}

/// What each agent holds, as the file says.
async fn held(spool: &Spool) -> BTreeMap<char, Vec<(StoredId, u64)>> {
    let mut held: BTreeMap<char, Vec<_>> = BTreeMap::new();
    for entry in spool.list(Selection::default(), u32::MAX).await.unwrap() {
        let digit = entry.agent.chars().next().unwrap();
        held.entry(digit).or_default().push((entry.id, u64::try_from(entry.bytes).unwrap()));
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
    fn agent_within_its_share_loses_no_body_by_size(
        ops in prop::collection::vec((op(), any::<bool>()), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let server: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
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
                        let body = Body::of_test(agent(digit), "x".repeat(size));
                        match spools[at].store(&body, &program(), &server).await {
                            Ok(id) if digit == 'a' => kept.push(id),
                            Ok(_) => {}
                            // Only what is more than a share can find no room, and then nothing was dropped for it.
                            Err(error) => {
                                assert!(digit != 'a' && size as u64 > SHARE, "{error}");
                                assert_eq!(held(&spools[at]).await, before);
                            }
                        }
                    }
                    Op::Deliver(number) => {
                        let lane = Lane { server: server.clone(), agent: agent(AGENTS[number]) };
                        if let Some(body) = spools[at].next(&lane).await.unwrap().first() {
                            spools[at].delivered(body.id, &server).await.unwrap();
                            kept.retain(|id| *id != body.id);
                        }
                    }
                    Op::SetAside(number) => {
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
                // Nobody goes below its share for another.
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
async fn greedy_agent_in_an_outage_drops_its_own_oldest_bodies_and_none_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let server: ServerUrl = "http://127.0.0.1:1".parse().unwrap();
    let spool = open_with(folder.path(), SpoolLimits { bytes: 1 << 20, ..SpoolLimits::default() });
    let mut good = Vec::new();
    for _ in 0..120 {
        good.push(put(&spool, &server, 'a', "g".repeat(1000)).await);
        for _ in 0..3 {
            put(&spool, &server, 'b', "x".repeat(20_000)).await;
        }
    }
    let held = held(&spool).await;
    let of_good: Vec<StoredId> = held[&'a'].iter().map(|(id, _)| *id).collect();
    assert_eq!(of_good, good);
    let last = held[&'b'].iter().map(|(id, _)| id.0).collect::<Vec<_>>();
    assert!(last.windows(2).all(|two| two[1] - two[0] <= 2), "the newest are kept: {last:?}");
}
