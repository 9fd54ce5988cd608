//! Thousands of random lifecycles: see [`tests::simulated::random`].

use tests::simulated::random;

/// How many programs each test plays.
const COUNT: u64 = 2_500;

#[test]
fn neqo_1() {
    random::on_neqo(0..COUNT);
}
