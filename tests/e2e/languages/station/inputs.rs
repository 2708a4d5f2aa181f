//! Random inputs of a station, and the datapoints that must follow from them: derived from the
//! page, not from a station's code.

#![expect(clippy::arithmetic_side_effects, reason = "numbers that were just chosen small")]

use std::{fmt::Write as _, time::SystemTime};

use serde_json::{Value, json};

use crate::delivery::pattoo_payload::random_cases::Rng;

/// The seed of this run: `PATTOO_SEED`, or a new one each time.
pub(crate) fn seed() -> u64 {
    std::env::var("PATTOO_SEED").map_or_else(
        |_| u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap(),
        |given| given.parse().unwrap(),
    )
}

/// The settings, the values of the device, and the document of the web site.
pub(crate) struct Inputs {
    pub(crate) seed: u64,
    pub(crate) device: String,
    pub(crate) unit: u8,
    pub(crate) site: String,
    pub(crate) pump_address: u16,
    pump_in_holding: bool,
    meter_address: u16,
    note: String,
    level: u16,
    temperature: i16,
    revolutions: u32,
    power: f32,
    energy: u64,
    serial: String,
    /// What fills the serial number up to eight characters.
    padding: char,
    outdoor_temperature: f64,
    humidity: u64,
    rain_total: u64,
    station_name: String,
}

/// Letters of one to four bytes in UTF-8, and what JSON must escape.
const LETTERS: [char; 12] = ['A', 'z', '7', ' ', 'é', 'ß', '水', '𝄞', '"', '\\', '/', '\t'];

impl Inputs {
    pub(crate) fn choose(seed: u64) -> Self {
        let mut rng = Rng::new(seed, 0);
        let serial: String =
            (0..=rng.below(7)).map(|_| char::from(b'!' + u8::try_from(rng.below(94)).unwrap())).collect();
        let name: String = (0..rng.below(20)).map(|_| LETTERS[rng.below_index(LETTERS.len())]).collect();
        // Any of them, but for those that pattoo refuses.
        let power = std::iter::repeat_with(|| f32::from_bits(rng.bits32())).find(|power| power.abs() < 1e29).unwrap();
        Self {
            seed,
            device: format!("plc{}", rng.below(100)),
            unit: u8::try_from(1 + rng.below(247)).unwrap(),
            site: format!("SITE_{}", rng.below(100)),
            pump_address: u16::try_from(rng.below(60_000)).unwrap(),
            pump_in_holding: rng.one_in(2),
            meter_address: u16::try_from(rng.below(65_527)).unwrap(),
            note: format!("of {} – ü", rng.below(2100)),
            level: u16::try_from(rng.below(65_536)).unwrap(),
            temperature: i16::try_from(rng.below(65_536).cast_signed() - 32_768).unwrap(),
            revolutions: rng.bits32(),
            power,
            // What every language can hold.
            energy: rng.next() >> (11 + rng.below(53)),
            serial,
            padding: if rng.one_in(2) { '\0' } else { ' ' },
            outdoor_temperature: Self::temperature(&mut rng),
            humidity: rng.below(101),
            rain_total: rng.below(1 << 53),
            station_name: format!("Mühle {}{}.", name, rng.below(100)),
        }
    }

    /// The same inputs with a counter that needs all 64 bits.
    pub(crate) fn with_a_counter_of_64_bits(mut self) -> Self {
        self.energy |= (1 << 63) | 1;
        self
    }

    /// A number of few or of many digits, with an exponent at times.
    fn temperature(rng: &mut Rng) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "any number does")]
        let thousandths = (rng.below(100_000).cast_signed() - 50_000) as f64;
        match rng.below(4) {
            0 => thousandths / 1e3,
            1 => thousandths / 7e3,
            2 => thousandths / 3e22,
            _ => thousandths * 1e17,
        }
    }

    /// A choice among `count` for this language.
    pub(crate) fn choice(&self, language: &str, among: usize) -> usize {
        let number = language.bytes().fold(0, |number: u64, byte| number.wrapping_mul(31).wrapping_add(byte.into()));
        Rng::new(self.seed, number).below_index(among)
    }

    pub(crate) fn settings(&self, url: &str) -> Value {
        let (pump, meter) = self.tables_of_contract();
        json!({
            "device": self.device,
            "unit": self.unit,
            "pump": {"table": pump, "address": self.pump_address},
            "meter": {"table": meter, "address": self.meter_address},
            "url": url,
            "site": self.site,
            "note": self.note,
            "of no interest": [1, {"a": null}],
        })
    }

    fn tables_of_contract(&self) -> (&str, &str) {
        let both = ("holding-registers", "input-registers");
        if self.pump_in_holding { both } else { (both.1, both.0) }
    }

    /// What the device holds, and nothing more: a register beside it is answered with exception 2.
    pub(crate) fn tables(&self) -> Value {
        let text: Vec<u8> = self.serial.bytes().chain(std::iter::repeat(self.padding as u8)).take(8).collect();
        let big =
            |bytes: &[u8]| -> Vec<u16> { bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect() };
        let pump = [vec![self.level, self.temperature.cast_unsigned()], big(&self.revolutions.to_be_bytes())].concat();
        let power: Vec<u16> = big(&self.power.to_be_bytes()).into_iter().rev().collect();
        let meter = [power, big(&self.energy.to_be_bytes()), big(&text)].concat();
        let (pump_table, meter_table) = if self.pump_in_holding { ("holding", "input") } else { ("input", "holding") };
        json!({ self.unit.to_string(): {
            pump_table: { self.pump_address.to_string(): pump },
            meter_table: { self.meter_address.to_string(): meter },
        }})
    }

    /// The document, with all that is not ASCII escaped, as many sites write it.
    pub(crate) fn document(&self) -> String {
        let document = json!({
            "name": self.station_name,
            "more": {"temperature": "of no interest", "list": [1.5e3, true, null, {}]},
            "temperature": self.outdoor_temperature,
            "rain_total": self.rain_total,
            "humidity": self.humidity,
        });
        let mut escaped = String::new();
        for character in document.to_string().chars() {
            if character.is_ascii() {
                escaped.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(escaped, "\\u{unit:04x}").unwrap();
                }
            }
        }
        escaped
    }

    /// A datapoint of the device: target, key, value, type of pattoo, metadata as pattoo sorts it.
    /// (The order in which it was given is in the checksum.)
    pub(crate) fn of_device(&self, span: &str, key: &str, value: &Value, kind: u8) -> Value {
        let metadata = json!([["note", self.note], ["span", span], ["unit", self.unit.to_string()]]);
        json!([self.device, key, value, kind, metadata])
    }

    /// A datapoint of the site.
    pub(crate) fn of_site(&self, key: &str, value: &Value, kind: u8) -> Value {
        json!([self.site, key, value, kind, [["note", self.note]]])
    }

    pub(crate) fn pump_points(&self) -> Vec<Value> {
        vec![
            self.of_device("pump", "level", &json!(self.level), 99),
            self.of_device("pump", "temperature", &json!(f64::from(self.temperature) * 0.1), 99),
            self.of_device("pump", "revolutions", &json!(self.revolutions), 32),
        ]
    }

    pub(crate) fn meter_points(&self) -> Vec<Value> {
        vec![
            self.of_device("meter", "power", &json!(f64::from(self.power)), 101),
            self.of_device("meter", "energy", &json!(self.energy), 64),
            self.of_device("meter", "serial", &json!(self.serial), 2),
        ]
    }

    pub(crate) fn site_points(&self) -> Vec<Value> {
        vec![
            self.of_site("outdoor_temperature", &json!(self.outdoor_temperature), 101),
            self.of_site("humidity", &json!(self.humidity), 99),
            self.of_site("rain_total", &json!(self.rain_total), 64),
            self.of_site("station_name", &json!(self.station_name), 2),
        ]
    }
}
