//! Functions of modules: the operators' kernels, and Candle's.

use crate::candle;
use crate::machine::Work;
use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// A kernel of an operator, as the shim has it.
#[repr(C)]
pub(crate) struct Compiled {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn emulated_kernel(name: *const c_char) -> *const Compiled;
    fn emulated_take(kernel: *const Compiled, parameters: *const *const c_void) -> *mut c_void;
    fn emulated_launch(
        kernel: *const Compiled,
        taken: *mut c_void,
        blocks: *const u32,
        threads: *const u32,
        dynamic_bytes: usize,
        message: *mut c_char,
        room: usize,
    ) -> c_int;
}

/// A function that can be launched.
#[derive(Debug)]
pub(crate) enum Function {
    Operator(*const Compiled),
    Candle(candle::Kernel),
}

/// Blocks, threads of a block, and bytes of shared memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) blocks: [u32; 3],
    pub(crate) threads: [u32; 3],
    pub(crate) shared: usize,
}

impl Function {
    /// The function of this name; `None` where there is none.
    pub(crate) fn named(name: &CStr) -> Option<Self> {
        // SAFETY: the name is a C string.
        let compiled = unsafe { emulated_kernel(name.as_ptr()) };
        if !compiled.is_null() {
            return Some(Self::Operator(compiled));
        }
        candle::Kernel::named(name.to_str().ok()?).map(Self::Candle)
    }

    /// A launch, with the parameters as they are now.
    ///
    /// # Safety
    /// They must be the addresses of as many parameters as the function has, of its types; and when the work is done,
    /// pointers among them must be to memory that the kernel may use.
    pub(crate) unsafe fn launch(&self, grid: Grid, parameters: *const *const c_void) -> Work {
        match self {
            Self::Operator(kernel) => {
                // SAFETY: as the caller promises.
                let taken = unsafe { emulated_take(*kernel, parameters) };
                let (kernel, taken) = (Shared(*kernel), Shared(taken.cast_const()));
                Box::new(move || run(kernel, taken, grid))
            }
            // SAFETY: as the caller promises.
            Self::Candle(kernel) => unsafe { kernel.launch(parameters) },
        }
    }
}

/// An address that whoever does the work may use.
struct Shared<T>(*const T);

// SAFETY: kernels are constants, and what was taken belongs to the work; one thread at a time does work.
unsafe impl<T> Send for Shared<T> {}

fn run(kernel: Shared<Compiled>, taken: Shared<c_void>, grid: Grid) {
    let mut message = [0_u8; 512];
    let Shared(kernel) = kernel;
    let Shared(taken) = taken;
    // SAFETY: the kernel took the parameters itself, and the message has as much room.
    let status = unsafe {
        emulated_launch(
            kernel,
            taken.cast_mut(),
            grid.blocks.as_ptr(),
            grid.threads.as_ptr(),
            grid.shared,
            message.as_mut_ptr().cast(),
            message.len(),
        )
    };
    if status != 0 {
        let end = message.iter().position(|&byte| byte == 0).unwrap_or(0);
        let text = CString::new(&message[..end]).unwrap_or_default();
        stop(&text.to_string_lossy());
    }
}

/// Ends the program, which has no way to go on: there is no caller to tell.
pub(crate) fn stop(why: &str) -> ! {
    eprintln!("emulated device: {why}");
    std::process::abort();
}
