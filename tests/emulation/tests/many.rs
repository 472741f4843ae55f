//! Kernels on many tensors of one launch: updates in place, and the search for what is not finite.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test panics to fail")]

mod numbers;

use cream_emulation::{Argument, Launch};
use numbers::{assert_close, buffer, exact, numbers as some, values};

/// Tensors of one launch, as in the kernels.
const MOST: usize = 64;

/// Elements of each tensor: none but one, a few blocks, and not a multiple of anything.
const LENGTHS: [usize; 4] = [1, 700, 33, 2049];

/// Parameter, momentum and mean square of each tensor, then its gradient.
fn sets() -> Vec<[Vec<f64>; 4]> {
    let set = |(i, &len): (usize, &usize)| {
        let values = |seed: u64| exact::<f32>(&some(len, seed + 10 * i as u64));
        let square = |values: Vec<f64>| values.iter().map(|v| v * v + 0.1).collect::<Vec<_>>();
        [values(1), values(2), exact::<f32>(&square(values(3))), values(4)]
    };
    LENGTHS.iter().enumerate().map(set).collect()
}

/// Each tensor has a weight decay of its own.
fn decay(tensor: usize) -> f64 {
    f64::from(0.01_f32 * tensor as f32)
}

/// The tensors after a kernel with these constants.
fn updated(kernel: &str, constants: &[f64]) -> Vec<[Vec<f64>; 4]> {
    let (mut bytes, mut places) = (vec![0_u8; MOST * 48], Vec::new());
    let mut launch = Launch::new(kernel, [2, LENGTHS.len()], [256, 1]);
    for (i, set) in sets().iter().enumerate() {
        for (j, values) in set.iter().enumerate() {
            places.push((i * 48 + j * 8, 4 * i + j));
            launch = launch.hidden(buffer::<f32>(values));
        }
        bytes[i * 48 + 32..][..8].copy_from_slice(&(LENGTHS[i] as i64).to_ne_bytes());
        bytes[i * 48 + 40..][..4].copy_from_slice(&(decay(i) as f32).to_ne_bytes());
    }
    launch = launch.argument(Argument::Struct(bytes, places));
    let launch = constants.iter().fold(launch, |launch, &constant| launch.float(constant));
    let found = launch.run().unwrap();
    found.chunks(4).map(|set| [0, 1, 2, 3].map(|j| values::<f32>(&set[j]))).collect()
}

/// Compares a kernel with a rule that has (p, m, v, g, decay) and returns (p, m, v).
fn agrees(
    kernel: &str,
    constants: &[f64],
    rule: impl Fn(f64, f64, f64, f64, f64) -> (f64, f64, f64),
) {
    let constants: Vec<f64> = exact::<f32>(constants);
    for (i, (found, before)) in updated(kernel, &constants).iter().zip(sets()).enumerate() {
        let [p, m, v, g] = &before;
        let each = (0..p.len()).map(|j| rule(p[j], m[j], v[j], g[j], decay(i)));
        let after: Vec<(f64, f64, f64)> = each.collect();
        let column = |pick: fn(&(f64, f64, f64)) -> f64| after.iter().map(pick).collect::<Vec<_>>();
        assert_close(&found[0], &column(|a| a.0), 1e-6, &format!("{kernel}: parameter {i}"));
        assert_close(&found[1], &column(|a| a.1), 1e-6, &format!("{kernel}: momentum {i}"));
        assert_close(&found[2], &column(|a| a.2), 1e-6, &format!("{kernel}: square {i}"));
        assert_eq!(&found[3], g, "{kernel}: gradient {i}");
    }
}

#[test]
fn updates_follow_their_rules() {
    let (rate, momentum) = (f64::from(0.05_f32), f64::from(0.9_f32));
    agrees("update_sgd_f32", &[rate, momentum], |p, m, v, g, decay| {
        let g = g + p * decay;
        let m = m * momentum + g;
        (p - (g + m * momentum) * rate, m, v)
    });
    let (beta, epsilon) = (f64::from(0.1_f32), f64::from(1e-3_f32));
    agrees("update_rmsprop_f32", &[rate, momentum, beta, epsilon], |p, m, v, g, decay| {
        let g = g + p * decay;
        let v = v + (g * g - v) * beta;
        let m = m * momentum + g * rate / (v + epsilon).sqrt();
        (p - m, m, v)
    });
    let constants = exact::<f32>(&[0.05, 0.9, 0.1, 0.999, 0.001, 1.2, 1e-8]);
    let [rate, beta1, take1, beta2, take2, correction, epsilon] = constants[..] else { panic!() };
    agrees("update_adamw_f32", &constants, |p, m, v, g, keep| {
        let (m, v) = (m * beta1 + g * take1, v * beta2 + g * g * take2);
        (p * keep - m * rate / (v.sqrt() * correction + epsilon), m, v)
    });
    let (keep, take) = (f64::from(0.999_f32), f64::from(0.001_f32));
    agrees("update_blend_f32", &[keep, take], |p, m, v, g, _| (p * keep + g * take, m, v));
}

/// The place of the first of these tensors that is not finite, as the kernel finds it.
fn first_of(tensors: &[Vec<f64>]) -> i32 {
    let (mut bytes, mut places) = (vec![0_u8; MOST * 16], Vec::new());
    let mut launch = Launch::new("finite_first_f32", [2, tensors.len()], [256, 1]);
    for (i, values) in tensors.iter().enumerate() {
        places.push((i * 8, i));
        launch = launch.hidden(buffer::<f32>(values));
        bytes[MOST * 8 + i * 8..][..8].copy_from_slice(&(values.len() as i64).to_ne_bytes());
    }
    let launch = launch.argument(Argument::Struct(bytes, places)).int(100);
    let found = launch.buffer(i32::MAX.to_ne_bytes().to_vec()).run().unwrap();
    i32::from_ne_bytes(found[tensors.len()][..].try_into().unwrap())
}

#[test]
fn the_first_tensor_that_is_not_finite_is_found() {
    let mut tensors: Vec<Vec<f64>> = LENGTHS.iter().map(|&len| some(len, 1)).collect();
    assert_eq!(first_of(&tensors), i32::MAX);
    *tensors[3].last_mut().unwrap() = f64::NAN;
    assert_eq!(first_of(&tensors), 103);
    tensors[1][699] = f64::INFINITY;
    assert_eq!(first_of(&tensors), 101);
}
