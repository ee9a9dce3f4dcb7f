#![no_main]

libfuzzer_sys::fuzz_target!(init: anomalyd_fuzz::start(), |data: &[u8]| {
    anomalyd_fuzz::bodies::csv::run(data);
});
