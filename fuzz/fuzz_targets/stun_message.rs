#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| straits_ice::fuzzing::stun_message(data));
