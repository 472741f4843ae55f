//! Normal noise as a function of a key and a pixel's place, so that the host and a device make the same.
//!
//! A pixel's words are those of Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011), which
//! become normal numbers by the transform of Box and Muller (1958). `lib/nn/src/ops/images` makes the same on a device.

/// Standard normal numbers for the channels of the pixel at `place`, its row times the image's width and its column.
#[must_use]
pub fn normals(key: [u32; 2], place: u32) -> [f32; 3] {
    let [a, b, c, d] = philox([place, 0, 0, 0], key);
    let radius = |word: u32| (-2.0 * uniform(word).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * uniform(b)).sin_cos();
    let other = (std::f64::consts::TAU * uniform(d)).cos();
    [radius(a) * cosine, radius(a) * sine, radius(c) * other].map(|value| value as f32)
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
    use super::{normals, philox};

    /// The known answers of Random123, tests/kat_vectors, philox4x32 with 10 rounds.
    #[test]
    fn philox_gives_its_known_answers() {
        let answers = [
            ([0; 4], [0; 2], [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]),
            (
                [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
                [0xA409_3822, 0x299F_31D0],
                [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1],
            ),
        ];
        for (counter, key, words) in answers {
            assert_eq!(philox(counter, key), words);
        }
    }

    #[test]
    fn numbers_are_standard_normal_and_apart_from_their_neighbours() {
        let values: Vec<f64> =
            (0..40_000).flat_map(|place| normals([1, 2], place)).map(f64::from).collect();
        let n = values.len() as f64;
        let moment = |power| values.iter().map(|v| v.powi(power)).sum::<f64>() / n;
        // Five standard deviations of the moments' estimates.
        assert!(moment(1).abs() < 5.0 / n.sqrt(), "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "{}", moment(4));
        for apart in 1..=3 {
            let products = values.iter().zip(&values[apart..]).map(|(a, b)| a * b);
            let correlation = products.sum::<f64>() / n;
            assert!(correlation.abs() < 5.0 / n.sqrt(), "{apart}: {correlation}");
        }
    }

    #[test]
    fn key_and_place_matter() {
        let one = normals([1, 2], 3);
        assert_eq!(one, normals([1, 2], 3));
        for other in [normals([2, 2], 3), normals([1, 3], 3), normals([1, 2], 4)] {
            assert!(one.iter().zip(other).all(|(a, b)| (a - b).abs() > 0.0));
        }
    }
}
