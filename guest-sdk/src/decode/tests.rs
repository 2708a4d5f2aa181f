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
fn two_bytes_have_no_word_order() {
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
