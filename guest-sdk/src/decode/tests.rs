use super::*;

const ORDERS: [Order; 4] = [Order::Abcd, Order::Cdab, Order::Badc, Order::Dcba];

#[test]
fn four_bytes_lie_as_the_name_of_the_order_says() {
    // What each order transmits for the value ABCD = 0x0A0B0C0D, written down from the names alone.
    let transmitted = [
        (Order::Abcd, [0x0A0B, 0x0C0D]),
        (Order::Cdab, [0x0C0D, 0x0A0B]),
        (Order::Badc, [0x0B0A, 0x0D0C]),
        (Order::Dcba, [0x0D0C, 0x0B0A]),
    ];
    for (order, registers) in transmitted {
        assert_eq!(Registers::new(&registers, order).u32(0), Ok(0x0A0B_0C0D), "{order:?}");
    }
}

#[test]
fn eight_bytes_lie_as_the_name_of_the_order_says() {
    let transmitted = [
        (Order::Abcd, [0x0A0B, 0x0C0D, 0x0E0F, 0x1011]),
        (Order::Cdab, [0x1011, 0x0E0F, 0x0C0D, 0x0A0B]),
        (Order::Badc, [0x0B0A, 0x0D0C, 0x0F0E, 0x1110]),
        (Order::Dcba, [0x1110, 0x0F0E, 0x0D0C, 0x0B0A]),
    ];
    for (order, registers) in transmitted {
        assert_eq!(Registers::new(&registers, order).u64(0), Ok(0x0A0B_0C0D_0E0F_1011), "{order:?}");
    }
}

#[test]
fn two_bytes_have_no_order_of_words() {
    for (order, value) in ORDERS.into_iter().zip([0x0A0B, 0x0A0B, 0x0B0A, 0x0B0A]) {
        assert_eq!(Registers::new(&[0x0A0B], order).u16(0), Ok(value), "{order:?}");
    }
}

#[test]
fn signs_and_floats_come_out_at_any_place() {
    let registers = [0, 0xFFFE, 0xFFFF, 0xC2F6, 0xE979, 0x405E, 0xDD2F, 0x1A9F, 0xBE77];
    let registers = Registers::new(&registers, Order::Abcd);
    assert_eq!(registers.i16(1), Ok(-2));
    assert_eq!(registers.i32(1), Ok(-65_537));
    assert_eq!(registers.f32(3), Ok(-123.456));
    assert_eq!(registers.f64(5), Ok(123.456));
    assert_eq!(Registers::new(&[0xFFFF; 4], Order::Dcba).i64(0), Ok(-1));
}

#[test]
fn a_value_beyond_what_was_read_is_an_error_at_every_border() {
    let registers = Registers::new(&[1, 2, 3], Order::Abcd);
    assert_eq!(registers.u32(1), Ok(0x0002_0003));
    assert_eq!(registers.u32(2), Err(OutOfRange { place: 2, count: 2, read: 3 }));
    assert_eq!(registers.u16(3), Err(OutOfRange { place: 3, count: 1, read: 3 }));
    assert_eq!(registers.u64(usize::MAX), Err(OutOfRange { place: usize::MAX, count: 4, read: 3 }));
    assert_eq!(registers.text(3, 0).as_deref(), Ok(""));
}

#[test]
fn bit_zero_is_the_least_significant() {
    let bits = Registers::new(&[0b1000_0000_0000_1001], Order::Abcd).bits(0).unwrap();
    let set: Vec<usize> = (0..16).filter(|bit| bits[*bit]).collect();
    assert_eq!(set, [0, 3, 15]);
}

#[test]
fn text_ends_at_nul_loses_padding_and_keeps_the_order_of_registers() {
    let text = |registers: &[u16], order| Registers::new(registers, order).text(0, registers.len()).unwrap();
    assert_eq!(text(&[0x2041, 0x4243, 0x2020], Order::Abcd), "ABC");
    assert_eq!(text(&[0x4142, 0x4300, 0x5858], Order::Cdab), "ABC");
    assert_eq!(text(&[0x4241, 0x0043], Order::Dcba), "ABC");
    assert_eq!(text(&[0x41E9], Order::Abcd), "A\u{FFFD}");
}

#[test]
fn settings_name_an_order_with_four_or_eight_letters() {
    let names = ["ABCD", "CDAB", "BADC", "DCBA", "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"];
    for (name, order) in names.into_iter().zip(ORDERS.into_iter().chain(ORDERS)) {
        assert_eq!(serde_json::from_value::<Order>(name.into()).unwrap(), order, "{name}");
    }
}

/// One entry of `vectors/decode.json`, as `vectors/README.md` describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    r#type: String,
    order: Order,
    registers: Vec<u16>,
    place: usize,
    first: Option<u8>,
    last: Option<u8>,
    count: Option<usize>,
    scale: Option<f64>,
    offset: Option<f64>,
    expected: Option<String>,
    error: Option<String>,
}

impl Vector {
    /// What we make of it: an expected value, or the name of an error.
    fn decoded(&self) -> Result<String, &'static str> {
        let registers = Registers::new(&self.registers, self.order);
        let place = self.place;
        let linear = self.scale.zip(self.offset).map(|(scale, offset)| Linear { scale, offset });
        let range = |_: OutOfRange| "range";
        let bcd = |error| match error {
            BcdError::OutOfRange(_) => "range",
            BcdError::Digit { .. } => "digit",
        };
        match self.r#type.as_str() {
            "u16" if linear.is_some() => {
                registers.u16(place).map(|raw| spelled(linear.unwrap().apply(raw))).map_err(range)
            }
            "i16" if linear.is_some() => {
                registers.i16(place).map(|raw| spelled(linear.unwrap().apply(raw))).map_err(range)
            }
            "u16" => registers.u16(place).map(|value| value.to_string()).map_err(range),
            "i16" => registers.i16(place).map(|value| value.to_string()).map_err(range),
            "u32" => registers.u32(place).map(|value| value.to_string()).map_err(range),
            "i32" => registers.i32(place).map(|value| value.to_string()).map_err(range),
            "u64" => registers.u64(place).map(|value| value.to_string()).map_err(range),
            "i64" => registers.i64(place).map(|value| value.to_string()).map_err(range),
            "f16" => registers.f16(place).map(|value| spelled(value.into())).map_err(range),
            "f32" => registers.f32(place).map(|value| spelled(value.into())).map_err(range),
            "f64" => registers.f64(place).map(spelled).map_err(range),
            "bcd16" => registers.bcd16(place).map(|value| value.to_string()).map_err(bcd),
            "bcd32" => registers.bcd32(place).map(|value| value.to_string()).map_err(bcd),
            "bcd64" => registers.bcd64(place).map(|value| value.to_string()).map_err(bcd),
            "bits" => {
                let text = |bits: [bool; 16]| bits.iter().rev().map(|bit| if *bit { '1' } else { '0' }).collect();
                registers.bits(place).map(text).map_err(range)
            }
            "field" => {
                let bits = self.first.unwrap()..=self.last.unwrap();
                registers.field(place, bits).map(|value| value.to_string()).map_err(range)
            }
            "text" => registers.text(place, self.count.unwrap()).map_err(range),
            other => panic!("a type that no decoder has: {other}"),
        }
    }

    fn wanted(&self) -> Result<String, &str> {
        match (&self.expected, &self.error) {
            (Some(expected), None)
                if self.r#type.starts_with('f') && self.r#type != "field" || self.scale.is_some() =>
            {
                Ok(spelled(expected.parse().unwrap()))
            }
            (Some(expected), None) => Ok(expected.clone()),
            (None, Some(error)) => Err(error),
            _ => panic!("either `expected` or `error`: {self:?}"),
        }
    }
}

/// Floats by their bits, so that -0 is not 0; all that are not a number alike.
fn spelled(float: f64) -> String {
    if float.is_nan() { "nan".to_owned() } else { format!("{float:?} {:016x}", float.to_bits()) }
}

#[test]
fn every_vector_decodes_as_expected() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../vectors/decode.json")).unwrap();
    assert!(vectors.len() > 500, "{}", vectors.len());
    for vector in vectors {
        assert_eq!(vector.decoded().map_err(str::to_owned), vector.wanted().map_err(str::to_owned), "{vector:?}");
    }
}

#[test]
fn bits_that_no_register_has_are_zero() {
    let registers = Registers::new(&[0xFFFF], Order::Abcd);
    let empty = core::ops::RangeInclusive::new(9, 8);
    assert_eq!(
        [registers.field(0, 14..=200), registers.field(0, 16..=17), registers.field(0, empty)],
        [Ok(3), Ok(0), Ok(0)]
    );
}

#[test]
fn a_digit_that_is_none_is_told_with_its_place() {
    let error = Registers::new(&[0, 0x12E4], Order::Abcd).bcd16(1).unwrap_err();
    assert_eq!(error.to_string(), "the value at place 1 is not in BCD: digit 2 of it is 0xE");
}

#[test]
fn settings_may_leave_out_scale_or_offset() {
    let applied = |json: serde_json::Value| serde_json::from_value::<Linear>(json).unwrap().apply(7).to_string();
    assert_eq!(applied(serde_json::json!({})), "7");
    assert_eq!(applied(serde_json::json!({"scale": 0.5})), "3.5");
    assert_eq!(applied(serde_json::json!({"offset": -1})), "6");
}
