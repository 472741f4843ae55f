//! Normal noise as a function of a key and a place: the words of Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As
//! Easy as 1, 2, 3", 2011), made normal by the transform of Box and Muller (1958).
//!
//! The loader's batches have the same, in `lib/data/src/noise.rs`: neither crate knows the other.

/// Three standard normal numbers for a place.
pub fn normals(key: [u32; 2], place: u32) -> [f64; 3] {
    let [a, b, c, d] = philox([place, 0, 0, 0], key);
    let radius = |word: u32| (-2.0 * uniform(word).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * uniform(b)).sin_cos();
    [radius(a) * cosine, radius(a) * sine, radius(c) * (std::f64::consts::TAU * uniform(d)).cos()]
}

/// Inside (0, 1), by the upper 23 bits: so many that 32-bit arithmetic has the same number.
fn uniform(word: u32) -> f64 {
    (f64::from(word >> 9) + 0.5) / f64::from(1 << 23)
}

/// Ten rounds of a counter under a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let halves = |factor: u32, word: u32| {
        let product = u64::from(factor) * u64::from(word);
        ((product >> 32) as u32, product as u32)
    };
    for _ in 0..10 {
        let (high0, low0) = halves(0xD251_1F53, counter[0]);
        let (high1, low1) = halves(0xCD9E_8D57, counter[2]);
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// Two of the known answers of Random123, tests/kat_vectors, philox4x32 with 10 rounds.
    #[test]
    fn philox_gives_its_known_answers() {
        let zeros = [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8];
        assert_eq!(philox([0; 4], [0; 2]), zeros);
        let ones = [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD];
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), ones);
    }
}
