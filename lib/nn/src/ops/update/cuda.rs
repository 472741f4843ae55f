//! Launchers of `kernel.cu`. Everything is f32.

use super::Item;
use crate::ops::cuda::{Kernels, MOST, Many, kernels, place};
use candle_core::Result;
use cudarc::driver::DeviceRepr;

static KERNELS: Kernels = kernels!("update");

/// `Set` of kernel.cu: addresses, elements and the item's own constant.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Set {
    /// Parameter and states; 0 where there is none.
    targets: [u64; 3],
    source: u64,
    len: i64,
    own: f32,
}

/// `Sets` of kernel.cu.
#[repr(C)]
struct Sets([Set; MOST]);

// SAFETY: plain numbers and addresses, in the layout of the kernels' struct.
unsafe impl DeviceRepr for Sets {}

/// The rule of the kernel `update_<name>` on all items, which agree in shape and type.
pub(super) fn each<const N: usize>(
    name: &'static str,
    items: &[Item<'_, N>],
    constants: &[f64],
) -> Result<()> {
    let function = format!("update_{name}_f32");
    let constants: Vec<f32> = constants.iter().map(|&c| c as f32).collect();
    for items in items.chunks(MOST) {
        let mut sets = Sets([Set::default(); MOST]);
        let mut longest = 0;
        for (set, item) in sets.0.iter_mut().zip(items) {
            let (source, len) = place::<f32>(item.source, name)?;
            *set = Set { source, len: len as i64, own: item.own as f32, ..Set::default() };
            for (to, target) in set.targets.iter_mut().zip(item.targets) {
                *to = place::<f32>(target, name)?.0;
            }
            longest = longest.max(len);
        }
        let Some(first) = items.first() else { continue };
        let device = first.source.device().as_cuda_device()?;
        let many = Many { device, kernels: &KERNELS, function: &function };
        // SAFETY: the arguments of the kernel: all addresses are those of `len` elements, and nothing reads the targets but
        // what comes after in the stream.
        unsafe { many.launch(&sets, (items.len(), longest), &constants, None)? };
    }
    Ok(())
}
