//! The kernels of Candle (candle-kernels 0.11) that networks and trainers here use, by their names and parameters there.

use crate::element::Element;
use crate::machine::Work;
use std::ffi::c_void;

/// What a kernel does, and to which elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    kind: Kind,
    element: Element,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Unary(fn(f64) -> f64),
    Binary(fn(f64, f64) -> f64),
    /// `x * mul + add`.
    Affine,
    /// To another type.
    Cast(Element),
    /// Of the last dimensions.
    Reduce(Reduction),
    /// One value everywhere.
    Set,
    /// Rows of one matrix to those of another.
    CopyRows,
}

#[derive(Clone, Copy, Debug)]
enum Reduction {
    Sum,
    /// The same, with the number of outputs as the first parameter.
    SmallSum,
    Max,
    Min,
}

/// Addresses of parameters, taken one by one.
struct Parameters(*const *const c_void);

impl Parameters {
    /// # Safety
    /// There must be another one, of this type.
    unsafe fn next<T: Copy>(&mut self) -> T {
        // SAFETY: as the caller promises.
        unsafe {
            let value = (*self.0).cast::<T>().read_unaligned();
            self.0 = self.0.add(1);
            value
        }
    }

    /// A number of elements' type.
    ///
    /// # Safety
    /// There must be another one, of this type.
    unsafe fn element(&mut self, element: Element) -> f64 {
        // SAFETY: as the caller promises.
        unsafe {
            let value = element.read(*self.0 as u64, 0);
            self.0 = self.0.add(1);
            value
        }
    }
}

/// Sizes and strides on the device; none for what is contiguous.
#[derive(Clone, Copy)]
struct Strides {
    dims: usize,
    info: u64,
}

impl Strides {
    /// # Safety
    /// There must be so many numbers.
    unsafe fn number(self, i: usize) -> usize {
        // SAFETY: as the caller promises.
        unsafe { (self.info as *const usize).add(i).read() }
    }

    /// Where element number `i` lies by the strides of operand number `operand`.
    ///
    /// # Safety
    /// The sizes and strides must be there.
    unsafe fn place(self, mut i: usize, operand: usize) -> usize {
        if self.info == 0 {
            return i;
        }
        let mut place = 0;
        for dim in (0..self.dims).rev() {
            // SAFETY: as the caller promises.
            let (size, stride) =
                unsafe { (self.number(dim), self.number((operand + 1) * self.dims + dim)) };
            place += i % size * stride;
            i /= size;
        }
        place
    }
}

impl Kernel {
    /// The kernel of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if let Some((from, to)) = name.strip_prefix("cast_").and_then(|types| types.split_once('_'))
        {
            return Some(Self {
                kind: Kind::Cast(Element::named(to)?),
                element: Element::named(from)?,
            });
        }
        let (name, element) = name.rsplit_once('_')?;
        let kind = match name {
            "affine" => Kind::Affine,
            "copy2d" => Kind::CopyRows,
            "const_set" => Kind::Set,
            "fast_sum" => Kind::Reduce(Reduction::Sum),
            "fast_sum_small" => Kind::Reduce(Reduction::SmallSum),
            "fast_max" => Kind::Reduce(Reduction::Max),
            "fast_min" => Kind::Reduce(Reduction::Min),
            _ => unary(name).map(Kind::Unary).or_else(|| binary(name).map(Kind::Binary))?,
        };
        Some(Self { kind, element: Element::named(element)? })
    }

    /// A launch, with the parameters as they are now.
    ///
    /// # Safety
    /// They must be those of the kernel, and the memory must be there when the work is done.
    pub(crate) unsafe fn launch(self, parameters: *const *const c_void) -> Work {
        let (element, mut p) = (self.element, Parameters(parameters));
        // SAFETY: the parameters of each kernel in their order; and the memory is as large as the sizes say.
        unsafe {
            match self.kind {
                Kind::CopyRows => {
                    let (from, to): (u64, u64) = (p.next(), p.next());
                    let [rows, columns, from_stride, to_stride]: [u32; 4] =
                        [p.next(), p.next(), p.next(), p.next()];
                    let [rows, columns] = [rows, columns].map(|n| n as usize);
                    let place = |row: usize, stride: u32| row * stride as usize;
                    Box::new(move || {
                        for (row, column) in (0..rows * columns).map(|i| (i / columns, i % columns))
                        {
                            let value = element.read(from, place(row, from_stride) + column);
                            element.write(to, place(row, to_stride) + column, value);
                        }
                    })
                }
                Kind::Reduce(reduction) => {
                    let (count, each): (usize, usize) = (p.next(), p.next());
                    let strides = Strides { dims: p.next(), info: p.next() };
                    let (from, to): (u64, u64) = (p.next(), p.next());
                    let outputs = match reduction {
                        Reduction::SmallSum => count,
                        _ => count / each.max(1),
                    };
                    Box::new(move || {
                        for output in 0..outputs {
                            let values = (output * each..(output + 1) * each)
                                .map(|i| element.read(from, strides.place(i, 0)));
                            let value = match reduction {
                                Reduction::Sum | Reduction::SmallSum => values.sum(),
                                Reduction::Max => values.fold(f64::NEG_INFINITY, f64::max),
                                Reduction::Min => values.fold(f64::INFINITY, f64::min),
                            };
                            element.write(to, output, value);
                        }
                    })
                }
                _ => self.elementwise(p),
            }
        }
    }

    /// # Safety
    /// As for [`Kernel::launch`].
    unsafe fn elementwise(self, mut p: Parameters) -> Work {
        let element = self.element;
        // SAFETY: as in `launch`.
        unsafe {
            let count: usize = p.next();
            let strides = Strides { dims: p.next(), info: p.next() };
            match self.kind {
                Kind::Binary(f) => {
                    let (x, y, to): (u64, u64, u64) = (p.next(), p.next(), p.next());
                    Box::new(move || {
                        for i in 0..count {
                            let x = element.read(x, strides.place(i, 0));
                            let y = element.read(y, strides.place(i, 1));
                            element.write(to, i, f(x, y));
                        }
                    })
                }
                Kind::Set => {
                    let (value, to): (f64, u64) = (p.element(element), p.next());
                    Box::new(move || {
                        (0..count).for_each(|i| element.write(to, strides.place(i, 0), value));
                    })
                }
                kind => {
                    let (from, to): (u64, u64) = (p.next(), p.next());
                    let (mul, add) = match kind {
                        Kind::Affine => (p.element(element), p.element(element)),
                        _ => (1.0, 0.0),
                    };
                    let target = if let Kind::Cast(target) = kind { target } else { element };
                    let f = if let Kind::Unary(f) = kind { f } else { |x| x };
                    Box::new(move || {
                        for i in 0..count {
                            let x = element.read(from, strides.place(i, 0));
                            target.write(to, i, f(x) * mul + add);
                        }
                    })
                }
            }
        }
    }
}

fn unary(name: &str) -> Option<fn(f64) -> f64> {
    let f: fn(f64) -> f64 = match name {
        "ucopy" => |x| x,
        "uneg" => |x| -x,
        "urecip" => |x| 1.0 / x,
        "uexp" => |x| x.exp(),
        "ulog" => |x| x.ln(),
        "usqr" => |x| x * x,
        "usqrt" => |x| x.sqrt(),
        "uabs" => |x| x.abs(),
        "urelu" => |x| x.max(0.0),
        "usigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        _ => return None,
    };
    Some(f)
}

fn binary(name: &str) -> Option<fn(f64, f64) -> f64> {
    let f: fn(f64, f64) -> f64 = match name {
        "badd" => |x, y| x + y,
        "bsub" => |x, y| x - y,
        "bmul" => |x, y| x * y,
        "bdiv" => |x, y| x / y,
        "bmaximum" => |x, y| x.max(y),
        "bminimum" => |x, y| x.min(y),
        _ => return None,
    };
    Some(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address<T>(value: &T) -> *const c_void {
        std::ptr::from_ref(value).cast()
    }

    #[test]
    fn broadcast_sums_follow_their_strides() {
        let (x, y, mut to) = ([1.0_f32, 2.0, 3.0], [10.0_f32, 20.0], [0.0_f32; 6]);
        // [2, 3]: x is a row for both, y a column.
        let info = [2_usize, 3, 0, 1, 1, 0];
        let parameters = (6_usize, 2_usize, info.as_ptr() as u64);
        let places = (x.as_ptr() as u64, y.as_ptr() as u64, to.as_mut_ptr() as u64);
        let all = [
            address(&parameters.0),
            address(&parameters.1),
            address(&parameters.2),
            address(&places.0),
            address(&places.1),
            address(&places.2),
        ];
        let kernel = Kernel::named("badd_f32").unwrap();
        // SAFETY: the parameters of a binary kernel.
        let work = unsafe { kernel.launch(all.as_ptr()) };
        work();
        assert_eq!(to, [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]);
    }

    #[test]
    fn the_last_dimensions_are_summed() {
        let (x, mut to) = ([1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0_f32; 3]);
        // [2, 3] over the first dimension, which is put last.
        let info = [3_usize, 2, 1, 3];
        let parameters = (6_usize, 2_usize, 2_usize, info.as_ptr() as u64);
        let places = (x.as_ptr() as u64, to.as_mut_ptr() as u64);
        let all = [
            address(&parameters.0),
            address(&parameters.1),
            address(&parameters.2),
            address(&parameters.3),
            address(&places.0),
            address(&places.1),
        ];
        // SAFETY: the parameters of a reduction.
        let work = unsafe { Kernel::named("fast_sum_f32").unwrap().launch(all.as_ptr()) };
        work();
        assert_eq!(to, [5.0, 7.0, 9.0]);
    }

    #[test]
    fn names_say_what_is_done() {
        for name in
            ["cast_bf16_f32", "ucopy_bf16", "affine_f64", "fast_sum_small_f32", "const_set_u8"]
        {
            assert!(Kernel::named(name).is_some(), "{name}");
        }
        for name in ["", "affine", "uwhat_f32", "cast_f32", "badd_i16"] {
            assert!(Kernel::named(name).is_none(), "{name}");
        }
    }
}
