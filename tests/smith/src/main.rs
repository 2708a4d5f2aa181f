//! `smith SEED COUNT`: random modules on stdout, each behind its length (four bytes,
//! little-endian).

use std::io::Write as _;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let (seed, count) = (arguments.next().expect("a seed"), arguments.next().expect("a count"));
    let mut state = seed;
    let mut out = std::io::stdout().lock();
    for _ in 0..count {
        let length = 200 + splitmix(&mut state) % 1800;
        let bytes: Vec<u8> =
            (0..length).flat_map(|_| splitmix(&mut state).to_le_bytes()).take(length as usize).collect();
        let module = smith::module(&bytes).expect("wasm-smith makes something of any bytes");
        out.write_all(&(module.len() as u32).to_le_bytes()).expect("a reader");
        out.write_all(&module).expect("a reader");
    }
}

/// The next random number: splitmix64.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
