#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| straits_peer::fuzzing::peer(data));
