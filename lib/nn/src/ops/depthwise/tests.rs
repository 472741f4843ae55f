use super::{depthwise, reference};
use crate::ops::check::{
    assert_close, check_gradients, numbers, parameter, precisions, tensor, values,
};
use crate::ops::window::Window;
use candle_core::{DType, Var};
use cream_arch::Padding;

/// Every kernel and stride, both paddings, channel counts that use each block size, odd sizes.
fn cases() -> Vec<(Window, usize, usize)> {
    let mut cases = Vec::new();
    for kernel in [3, 5, 7] {
        for stride in [1, 2] {
            for padding in [Padding::Half, Padding::Same] {
                for (size, channels) in [((5, 8), 43), ((1, 2), 8), ((7, 3), 1)] {
                    let w = Window::new(kernel, stride, padding, size.0, size.1).unwrap();
                    cases.push((w, 3, channels));
                }
            }
        }
    }
    cases
}

#[test]
fn kernels_agree_with_the_reference() {
    for (w, n, c) in cases() {
        let x = numbers(n * w.height * w.width * c, 1);
        let weight = numbers(c * w.kernel * w.kernel, 2);
        let y = reference::forward(&x, &weight, &w, n, c);
        let dy = numbers(y.len(), 3);
        let (dx, dw) = reference::backward(&x, &weight, &dy, &w, n, c);
        for (dtype, tolerance) in precisions(1e-12, 1e-5) {
            let xs = Var::from_tensor(&tensor(&x, &[n, w.height, w.width, c], dtype)).unwrap();
            let ws =
                Var::from_tensor(&parameter(&weight, &[c, 1, w.kernel, w.kernel], dtype)).unwrap();
            let out = depthwise(&xs, &ws, w).unwrap();
            let what = |what: &str| format!("{what} in {dtype:?}");
            assert_close(&values(&out), &y, tolerance, &what("forward"));
            let dys = tensor(&dy, out.dims(), dtype);
            let grads = (out * dys).unwrap().sum_all().unwrap().backward().unwrap();
            let (gx, gw) = (values(grads.get(&xs).unwrap()), values(grads.get(&ws).unwrap()));
            assert_close(&gx, &dx, tolerance, &what("input gradient"));
            assert_close(&gw, &dw, tolerance, &what("weight gradient"));
        }
    }
}

#[test]
fn gradients_agree_with_differences() {
    let w = Window::new(5, 2, Padding::Half, 5, 4).unwrap();
    check_gradients(&[&[2, 5, 4, 9], &[9, 1, 5, 5]], |t| depthwise(&t[0], &t[1], w));
}

#[test]
fn a_weight_of_another_shape_is_refused() {
    let w = Window::new(3, 1, Padding::Half, 4, 4).unwrap();
    let x = tensor(&numbers(32, 1), &[1, 4, 4, 2], DType::F32);
    let weight = tensor(&numbers(27, 1), &[3, 1, 3, 3], DType::F32);
    assert!(depthwise(&x, &weight, w).is_err());
}
