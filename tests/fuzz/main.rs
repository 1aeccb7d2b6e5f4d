//! Replays every input that a fuzzer kept, and variations of it: bytes flipped, cut off, doubled.

mod connections;
mod requests;
mod targets;

use std::fs;
use std::path::PathBuf;
use targets::TARGETS;

/// Variations of each input: some with every test run, many more with `SKERRY_TEST_FULL=1`.
fn variation_count() -> u64 {
    if std::env::var_os("SKERRY_TEST_FULL").is_some_and(|value| value == "1") { 20_000 } else { 200 }
}

#[test]
fn no_input_of_the_corpus_breaks_a_promise() {
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for input in &inputs {
            target(input);
        }
    }
}

#[test]
fn no_variation_of_an_input_breaks_a_promise() {
    let count = variation_count();
    for (name, target) in TARGETS {
        for (number, input) in (0..).zip(inputs(name)) {
            for variation in 0..count {
                target(&varied(&input, number * count + variation));
            }
        }
    }
}

/// Every target has a file, and every file a target.
#[test]
fn targets_and_files_belong_together() {
    let mut files: Vec<_> = fs::read_dir(corpus())
        .expect("a corpus")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    files.sort();
    assert_eq!(files, TARGETS.map(|(name, _)| format!("{name}.txt")));
}

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

/// One input a line, with `\xNN` for what is not printable.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(corpus().join(format!("{target}.txt"))).expect("a file for each target");
    text.lines().map(unescaped).collect()
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut parts = line.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

/// The same input and number give the same variation.
fn varied(input: &[u8], number: u64) -> Vec<u8> {
    // SplitMix64: enough to choose places, and the same everywhere.
    let mut state = number;
    let mut next = |bound: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    };
    let mut varied = input.to_vec();
    for _ in 0..=next(3) {
        let at = next(varied.len());
        match next(4) {
            0 => varied.truncate(at),
            1 => varied.insert(at.min(varied.len()), next(256) as u8),
            2 => varied.extend_from_within(at..),
            _ => {
                if let Some(byte) = varied.get_mut(at) {
                    *byte ^= 1 << next(8);
                }
            }
        }
    }
    varied
}
