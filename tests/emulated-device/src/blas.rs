//! The products of cuBLAS that Candle asks for, and as much of cuRAND as opening a device takes.

use crate::element::Element;
use crate::kernel::stop;
use crate::machine::machine;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_longlong, c_void};
use std::sync::{Mutex, PoisonError};

const TF32: c_int = 77;
const BATCHES_OF_MATRICES_DIFFER: c_int = 7;

/// The stream of every handle that has one.
static STREAMS: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

/// Makes the handle.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasCreate_v2(handle: *mut u64) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { handle.write(machine().handle()) };
    0
}

/// Forgets a handle.
#[unsafe(no_mangle)]
pub extern "C" fn cublasDestroy_v2(handle: u64) -> c_int {
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    0
}

/// Where products go.
#[unsafe(no_mangle)]
pub extern "C" fn cublasSetStream_v2(handle: u64, stream: u64) -> c_int {
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, stream);
    0
}

fn element(number: c_int) -> Element {
    match number {
        0 => Element::F32,
        1 => Element::F64,
        2 => Element::F16,
        14 => Element::Bf16,
        _ => stop(&format!("a product of elements of type {number}")),
    }
}

/// Columns of a matrix one after the other, perhaps to be taken as rows.
struct Matrix {
    at: u64,
    element: Element,
    leading: usize,
    transposed: bool,
    tf32: bool,
}

impl Matrix {
    /// # Safety
    /// The element must be there.
    unsafe fn get(&self, row: usize, column: usize) -> f64 {
        let (row, column) = if self.transposed { (column, row) } else { (row, column) };
        // SAFETY: as the caller promises.
        let value = unsafe { self.element.read(self.at, column * self.leading + row) };
        if self.tf32 { to_tf32(value) } else { value }
    }
}

/// Ten bits of the fraction, to nearest.
fn to_tf32(value: f64) -> f64 {
    let bits = (value as f32).to_bits();
    f64::from(f32::from_bits(bits.wrapping_add(0x0fff + (bits >> 13 & 1)) & !0x1fff))
}

/// `C = alpha op(A) op(B) + beta C` for every matrix of a batch.
///
/// # Safety
/// The matrices must be there when the product is done, the factors now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasGemmStridedBatchedEx(
    handle: u64,
    a_transposed: c_int,
    b_transposed: c_int,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: u64,
    a_type: c_int,
    a_leading: c_int,
    a_stride: c_longlong,
    b: u64,
    b_type: c_int,
    b_leading: c_int,
    b_stride: c_longlong,
    beta: *const c_void,
    c: u64,
    c_type: c_int,
    c_leading: c_int,
    c_stride: c_longlong,
    batches: c_int,
    compute: c_int,
    _: c_int,
) -> c_int {
    let (a_type, b_type, c_type) = (element(a_type), element(b_type), element(c_type));
    let scale = if compute == 70 { Element::F64 } else { Element::F32 };
    // SAFETY: factors of the type of the computation.
    let (alpha, beta) = unsafe { (scale.read(alpha as u64, 0), scale.read(beta as u64, 0)) };
    let sizes = [m, n, k, a_leading, b_leading, c_leading, batches].map(usize::try_from);
    let [Ok(m), Ok(n), Ok(k), Ok(a_leading), Ok(b_leading), Ok(c_leading), Ok(batches)] = sizes
    else {
        return BATCHES_OF_MATRICES_DIFFER;
    };
    if a_leading < if a_transposed == 0 { m } else { k }
        || b_leading < if b_transposed == 0 { k } else { n }
        || c_leading < m
    {
        return BATCHES_OF_MATRICES_DIFFER;
    }
    let tf32 = compute == TF32;
    let work = move || {
        for batch in 0..batches as i64 {
            let at = |first: u64, element: Element, stride: i64| {
                first.wrapping_add_signed(batch * stride * element.bytes() as i64)
            };
            let matrix = |at, element, leading, transposed| Matrix {
                at,
                element,
                leading,
                transposed: transposed != 0,
                tf32,
            };
            let a = matrix(at(a, a_type, a_stride), a_type, a_leading, a_transposed);
            let b = matrix(at(b, b_type, b_stride), b_type, b_leading, b_transposed);
            let c = at(c, c_type, c_stride);
            // SAFETY: as the caller of the product promises.
            unsafe { product(&a, &b, (c, c_type, c_leading), [m, n, k], (alpha, beta)) };
        }
    };
    let streams = STREAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let stream = streams.get(&handle).copied().unwrap_or(0);
    drop(streams);
    machine().work(stream, work);
    0
}

/// # Safety
/// The matrices must be there.
unsafe fn product(
    a: &Matrix,
    b: &Matrix,
    (c, element, leading): (u64, Element, usize),
    [m, n, k]: [usize; 3],
    (alpha, beta): (f64, f64),
) {
    // SAFETY: of every index there is an element.
    unsafe {
        let rows: Vec<f64> = (0..k * n).map(|i| b.get(i / n, i % n)).collect();
        let mut sums = vec![0.0; n];
        for i in 0..m {
            sums.fill(0.0);
            for (l, row) in rows.chunks_exact(n.max(1)).enumerate() {
                let factor = a.get(i, l);
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
            }
            for (j, sum) in sums.iter().enumerate() {
                let place = j * leading + i;
                let before = if beta == 0.0 { 0.0 } else { beta * element.read(c, place) };
                element.write(c, place, alpha * sum + before);
            }
        }
    }
}

/// Makes a generator.
///
/// # Safety
/// There must be room for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn curandCreateGenerator(generator: *mut u64, _: c_int) -> c_int {
    // SAFETY: as the caller promises.
    unsafe { generator.write(1) };
    0
}

/// Nothing is drawn.
#[unsafe(no_mangle)]
pub extern "C" fn curandSetPseudoRandomGeneratorSeed(_: u64, _: u64) -> c_int {
    0
}

/// Nothing is drawn.
#[unsafe(no_mangle)]
pub extern "C" fn curandSetStream(_: u64, _: u64) -> c_int {
    0
}

/// There is nothing to free.
#[unsafe(no_mangle)]
pub extern "C" fn curandDestroyGenerator(_: u64) -> c_int {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of 2 x 3 and 3 x 2 numbers, as Candle hands them over: C^T = B^T A^T.
    #[test]
    fn products_are_those_of_their_definition() {
        let a = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [1.0_f32, -1.0, 0.5, 2.0, 0.0, 3.0];
        let mut c = [f32::NAN; 4];
        let matrix = |values: &[f32], leading| Matrix {
            at: values.as_ptr() as u64,
            element: Element::F32,
            leading,
            transposed: false,
            tf32: false,
        };
        let to = (c.as_mut_ptr() as u64, Element::F32, 2);
        // SAFETY: the arrays have as many elements.
        unsafe { product(&matrix(&b, 2), &matrix(&a, 3), to, [2, 2, 3], (1.0, 0.0)) };
        assert_eq!(c, [2.0, 12.0, 6.5, 24.0]);
    }

    #[test]
    fn tf32_keeps_ten_bits() {
        assert_eq!(to_tf32(1.0 + 2_f64.powi(-10)), 1.0 + 2_f64.powi(-10));
        assert_eq!(to_tf32(1.0 + 2_f64.powi(-12)), 1.0);
        assert_eq!(to_tf32(-3.0), -3.0);
    }
}
