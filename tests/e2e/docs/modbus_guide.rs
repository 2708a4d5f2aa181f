//! The guide on Modbus, executed: its files are read, its devices are simulated, and its commands
//! print what it shows.
#![expect(clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::process::Command;

use pattoo_tests::{Cli, ReadyLine, Running, unused_address};
use pattoo_wasm::simulate::Simulation;

const PAGE: &str = include_str!("../../../docs/guides/modbus.md");

/// The blocks of the page in their order: language and text.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').expect("a block has lines")).collect()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn files_on_the_modbus_page_are_valid() {
    let (mut devices, mut grants) = (0, 0);
    let cli = Cli::new();
    cli.file("idle.wat", pattoo_tests::IDLE);
    for (_, text) in blocks().into_iter().filter(|(language, _)| *language == "yaml") {
        if text.contains("devices:") {
            Simulation::from_yaml(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            devices += 1;
        } else {
            cli.file("grants.yaml", text);
            let run = cli.run(&["run", "idle.wat", "--grants", "grants.yaml"]);
            assert_eq!(run.code, Some(0), "{text}\n{run:#?}");
            grants += 1;
        }
    }
    assert!(devices >= 4 && grants >= 3, "{devices} {grants}");
}

/// Simulates the devices of a file.
fn simulated(cli: &Cli, file: &str) -> Running {
    Running::start(&mut cli.command(&["simulate", file]), ReadyLine::OnStderr, |line| {
        line.contains(" on ").then(unused_address)
    })
}

#[test]
fn commands_on_the_modbus_page_print_what_it_shows() {
    let cli = Cli::new();
    let ports = [("1502", unused_address().port().to_string()), ("1503", unused_address().port().to_string())];
    let placed = |text: &str| ports.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here));
    cli.file("devices.yaml", placed(&cli.run(&["simulate", "--sample"]).stdout));
    let line = blocks().into_iter().find(|(_, text)| text.contains("pty: ./meter-line")).expect("a line");
    cli.file("line.yaml", line.1);
    let _simulated = ["devices.yaml", "line.yaml"].map(|file| simulated(&cli, file));
    let mut shown = 0;
    let blocks = blocks();
    for (at, (_, text)) in blocks.iter().enumerate() {
        for command in text
            .lines()
            .filter(|line| line.starts_with("mbpoll ") && (line.contains("127.0.0.1") || line.contains("./meter-line")))
        {
            // A device may be slow on a busy machine.
            let patient =
                placed(command).replace(" -o 0.5", "").replace(" -o 3", "").replacen("mbpoll", "mbpoll -o 10", 1);
            let output =
                Command::new("sh").args(["-c", &patient]).current_dir(cli.folder()).output().expect("it starts");
            let said = words(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
            if command.contains("-a 1:4") {
                assert_eq!(said.matches("[0]: 2").count(), 2, "{said}");
                assert_eq!(said.matches("Target device failed to respond").count(), 2, "{said}");
            } else {
                assert!(output.status.success(), "{command}: {said}");
            }
            if let Some(("text", expected)) = blocks.get(at + 1) {
                for line in expected.lines() {
                    assert!(said.contains(&words(line)), "{command} does not show {line:?}: {said}");
                }
                shown += 1;
            }
        }
    }
    assert!(shown >= 2, "{shown}");
}

#[test]
fn byte_order_tables_on_the_modbus_page_are_correct() {
    for (value, column) in [(100f32.to_bits(), 1), (70_000, 2)] {
        let [a, b, c, d] = value.to_be_bytes();
        for (order, bytes) in
            [("ABCD", [a, b, c, d]), ("CDAB", [c, d, a, b]), ("BADC", [b, a, d, c]), ("DCBA", [d, c, b, a])]
        {
            let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{order}`"))).expect("a row");
            let cells: Vec<&str> = row.split('|').skip(1).map(str::trim).collect();
            let expected = format!("0x{:02X}{:02X} 0x{:02X}{:02X}", bytes[0], bytes[1], bytes[2], bytes[3]);
            assert_eq!(cells[column], expected, "{order}");
        }
    }
}
