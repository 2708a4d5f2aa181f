//! Cases for the comparison with pattoo: what a collection could emit, reasonable and not.

use pattoo_measurement::{Candidate, Metadatum, Value};
use pattoo_output::pattoo::DataType;
use serde_json::{Value as Json, json};

/// A small generator of numbers (`SplitMix64`), so that a seed gives the same cases everywhere and
/// always.
pub(crate) struct Rng(u64);

impl Rng {
    /// One stream per case: any case can be repeated without those before it.
    pub(crate) fn new(seed: u64, case: u64) -> Self {
        let mut rng = Self(seed);
        Self(rng.next() ^ case.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    /// Below this, as the place in a list.
    pub(crate) fn below_index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    pub(crate) fn bits32(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below_index(from.len())]
    }

    fn list<T>(&mut self, most: u64, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most.saturating_add(1));
        (0..count).map(|_| one(self)).collect()
    }
}

/// Characters whose class a later version of Unicode changed. Whether a capital sigma next to them
/// becomes the final form then depends on the version; nothing else about them does.
const RECLASSED: [char; 2] = ['\u{295}', '\u{1171e}'];

/// The characters that both sides treat alike: Rust's Unicode tables may be newer than those of the
/// Python beside it.
#[derive(Default)]
pub(crate) struct Unicode {
    unassigned: Vec<(u32, u32)>,
}

impl Unicode {
    /// All but these ranges, first and last included, in order.
    pub(crate) fn without(unassigned: Vec<(u32, u32)>) -> Self {
        Self { unassigned }
    }

    fn knows(&self, c: char) -> bool {
        let code = u32::from(c);
        let at = self.unassigned.partition_point(|&(_, last)| last < code);
        self.unassigned.get(at).is_none_or(|&(first, _)| code < first) && !RECLASSED.contains(&c)
    }

    /// Each of them but for private use, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = char> {
        ('\0'..='\u{effff}').filter(|&c| self.knows(c) && !('\u{e000}'..='\u{f8ff}').contains(&c))
    }

    fn any(&self, rng: &mut Rng) -> char {
        // Half of them where cased letters, marks and odd spaces are dense.
        let bound = if rng.one_in(2) { 0x2100 } else { 0x11_0000 };
        loop {
            let code = u32::try_from(rng.below(bound)).unwrap();
            if let Some(c) = char::from_u32(code).filter(|&c| self.knows(c)) {
                return c;
            }
        }
    }
}

/// One call of `emit`.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) target: String,
    pub(crate) points: Vec<Candidate>,
}

/// One collection.
pub(crate) struct Case {
    pub(crate) program: String,
    pub(crate) agent_id: String,
    pub(crate) hostname: String,
    /// Seconds.
    pub(crate) interval: u32,
    /// Unix milliseconds.
    pub(crate) now: u64,
    /// Milliseconds.
    pub(crate) future_bound: u64,
    /// Unix milliseconds.
    pub(crate) built_at: u64,
    pub(crate) calls: Vec<Call>,
}

impl Case {
    /// These calls, by an arbitrary agent.
    pub(crate) fn of(calls: Vec<Call>) -> Self {
        Self {
            program: "LAVA_SCRIPT".to_owned(),
            agent_id: "0f".repeat(32),
            hostname: "gateway-7.example.org".to_owned(),
            interval: 20,
            now: 1_700_000_000_000,
            future_bound: 300_000,
            built_at: 1_700_000_000_123,
            calls,
        }
    }

    pub(crate) fn generate(rng: &mut Rng, unicode: &Unicode) -> Self {
        let program = match rng.below(4) {
            0 => "LAVA_SCRIPT".to_owned(),
            1 => "pattoo_agent_modbustcpd".to_owned(),
            2 => "x".repeat(64),
            _ => format!("P.{}-", rng.below(100)),
        };
        let now = 1_500_000_000_000_u64.saturating_add(rng.below(500_000_000_000));
        let future_bound = [0, 1, 300_000][usize::try_from(rng.below(3)).unwrap()];
        let mut points = Points { rng, unicode, room: 511_u64.saturating_sub(program.len() as u64), now, future_bound };
        let calls = points.calls();
        Self {
            agent_id: std::array::from_fn::<String, 4, _>(|_| format!("{:016x}", rng.next())).concat(),
            hostname: rng.pick(&["h", "gateway-7.example.org", "K\u{d6}LN", "10.0.0.1"]).to_owned(),
            interval: *rng.pick(&[&1, &20, &300, &86_400, &4_294_967]),
            built_at: now.saturating_add(rng.below(10_000)),
            program,
            now,
            future_bound,
            calls,
        }
    }

    /// The case in the form that the oracle reads.
    pub(crate) fn question(&self, body: Option<&str>) -> Json {
        let metadata = |m: &Metadatum| json!([m.key, m.value, m.identifying]);
        let point = |p: &Candidate| {
            json!({
                "key": p.key,
                "type": DataType::of(&p.value).number(),
                "value": typed(&p.value),
                "timestamp": p.timestamp,
                "metadata": p.metadata.iter().map(metadata).collect::<Vec<Json>>(),
            })
        };
        let call = |c: &Call| json!({"target": c.target, "points": c.points.iter().map(point).collect::<Vec<Json>>()});
        json!({
            "program": self.program,
            "agent_id": self.agent_id,
            "hostname": self.hostname,
            "interval": self.interval,
            "now": self.now,
            "future_bound": self.future_bound,
            "built_at": self.built_at,
            "calls": self.calls.iter().map(call).collect::<Vec<Json>>(),
            "body": body,
        })
    }
}

/// A value with its type, every bit of it (`typed` in the oracle).
pub(crate) fn typed(value: &Value) -> String {
    match value {
        Value::Integer(n) => format!("i:{n}"),
        Value::Scaled(n) | Value::Float(n) => format!("f:{:016x}", n.to_bits()),
        Value::Counter32(n) => format!("i:{n}"),
        Value::Counter64(n) => format!("i:{n}"),
        Value::Text(text) => format!("s:{text}"),
    }
}

/// Python's `str.strip()`, implemented here independently of the runtime.
pub(crate) fn python_strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{1c}' | '\u{1d}' | '\u{1e}' | '\u{1f}'))
}

/// Makes the datapoints of one case.
struct Points<'a> {
    rng: &'a mut Rng,
    unicode: &'a Unicode,
    /// Bytes that a key may have.
    room: u64,
    now: u64,
    future_bound: u64,
}

impl Points<'_> {
    fn calls(&mut self) -> Vec<Call> {
        let count = self.rng.below(5);
        (0..count)
            .map(|_| {
                let target = self.target();
                let points = (0..self.rng.below(8)).map(|_| self.point()).collect();
                Call { target, points }
            })
            .collect()
    }

    fn target(&mut self) -> String {
        match self.rng.below(24) {
            0 => self.text(),
            1 => " \u{1f}\u{3000}".to_owned(),
            2 => self.of_bytes(512),
            _ => {
                self.rng.pick(&["SITE_A", " SITE_A\n", "WORK_1", "192.0.2.10", "\u{fc}\u{1f600}", "x", "xp"]).to_owned()
            }
        }
    }

    fn point(&mut self) -> Candidate {
        // Few keys, so that duplicates and collisions occur.
        let key = match self.rng.below(24) {
            0 => self.reserved(),
            1 => self.of_bytes(self.room),
            2 => " \t\u{85}\u{1c}".to_owned(),
            3..=8 => self.text(),
            _ => self
                .rng
                .pick(&["a", " A", "a3", "a9", "a10", "a1", "Temp", "none", "k \u{3a3}", "\u{130}", "b.c-d"])
                .to_owned(),
        };
        let most = if self.rng.one_in(20) { 12 } else { 3 };
        let count = self.rng.below(most);
        Candidate {
            key,
            value: self.value(),
            timestamp: self.timestamp(),
            metadata: (0..count).map(|_| self.metadatum()).collect(),
        }
    }

    fn metadatum(&mut self) -> Metadatum {
        let key = match self.rng.below(48) {
            0 => self.reserved(),
            1 => self.of_bytes(self.room),
            2 => "\u{a0}".to_owned(),
            3..=6 => self.text(),
            _ => self.rng.pick(&["x", "xy", "unit", "Unit ", "room", "x z", "o'clock", "\u{df}\u{1e9e}"]).to_owned(),
        };
        let value = match self.rng.below(24) {
            0 => self.of_bytes(512),
            1 => "v".repeat(600),
            2..=5 => self.text(),
            _ => self.rng.pick(&["z", "yz", "000", " 7 ", "", "1.0", "\u{1f}USD\u{2028}"]).to_owned(),
        };
        Metadatum { key, value, identifying: self.rng.one_in(2) }
    }

    fn value(&mut self) -> Value {
        let bits = self.rng.next();
        match self.rng.below(10) {
            0 => Value::Integer(*self.rng.pick(&[&i64::MIN, &i64::MAX, &0, &1, &-1, &9_007_199_254_740_993])),
            1 => Value::Integer(bits.cast_signed() >> self.rng.below(64)),
            2 => Value::Counter32(u32::try_from(bits >> 32).unwrap() >> self.rng.below(32)),
            3 => Value::Counter64(bits >> self.rng.below(64)),
            4 => Value::Float(f64::from_bits(bits)),
            5 => Value::Scaled(f64::from(u16::try_from(bits >> 48).unwrap()) * 0.1),
            6 => Value::Scaled(self.float()),
            7 => Value::Float(self.float()),
            8 => Value::Text(
                self.rng.pick(&["", " 1 ", "nan", "1e5", "0x10", "\"\\/\u{8}\u{7f}", "\u{9b}2J\0"]).to_owned(),
            ),
            _ => Value::Text(self.text()),
        }
    }

    fn float(&mut self) -> f64 {
        *self.rng.pick(&[
            &0.0,
            &-0.0,
            &1.0,
            &123.456,
            &1e15,
            &1e16,
            &1e22,
            &1e-5,
            &5e-324,
            &f64::MIN_POSITIVE,
            &9_007_199_254_740_992.0,
            &999_999_999_999_999_999_999_999_999_999.0,
            &1e30_f64.next_down(),
            &-1e30,
            &f64::MAX,
            &f64::NAN,
            &f64::INFINITY,
            &f64::NEG_INFINITY,
        ])
    }

    fn timestamp(&mut self) -> Option<u64> {
        let latest = self.now.saturating_add(self.future_bound);
        match self.rng.below(48) {
            0 => Some(latest),
            1 => Some(latest.saturating_add(1)),
            2 => Some(self.rng.below(4)),
            3 => Some(u64::MAX),
            4..=20 => None,
            _ => Some(self.now.saturating_sub(self.rng.below(3))),
        }
    }

    /// Up to ten characters of any kind.
    fn text(&mut self) -> String {
        let unicode = self.unicode;
        let odd: Vec<char> =
            "\u{130}\u{3a3}\u{3c2}\u{1e9e}\u{212a}\u{1c5}aA1 _'.\"\\\u{1f}\u{85}\u{ad}\u{301}".chars().collect();
        let characters = self.rng.list(10, |rng| {
            if rng.one_in(2) { unicode.any(rng) } else { odd[usize::try_from(rng.below(odd.len() as u64)).unwrap()] }
        });
        characters.into_iter().collect()
    }

    fn reserved(&mut self) -> String {
        self.rng
            .pick(&[
                "pattoo_checksum",
                "Pattoo_Agent_ID",
                "pattoo_metadata",
                "my pattoo",
                "PATTOO",
                "pattoo_value",
                "patto\u{f8}",
            ])
            .to_owned()
    }

    /// About as many bytes, one more or one less.
    fn of_bytes(&mut self, bytes: u64) -> String {
        let unit = self.rng.pick(&["k", "\u{e9}", "\u{20ac}", "\u{1f600}"]);
        let mut text = unit.repeat(usize::try_from(bytes).unwrap().div_euclid(unit.len()));
        for _ in 0..self.rng.below(4) {
            text.push('k');
        }
        text
    }
}
