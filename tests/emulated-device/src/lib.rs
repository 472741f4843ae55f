//! A CUDA device on the host: a library that programs open in place of libcuda, libcublas and libcurand.
//!
//! Programs that are linked as tests/cuda/with-compiler has it look for those by name at the first call. With this in
//! their place they run on a device of compute capability 8.0 that is no device: the kernels of the operators are those
//! of the `kernel.cu` files, compiled as C++ (tests/emulation says how); Candle's kernels and the products of cuBLAS are
//! written again here, as plainly as can be. So launchers, copies, streams, the trainers' device code and the scripts for
//! machines with a GPU are run where there is none, slowly.
//!
//! Streams do as little as they may: work waits in its stream until somebody must see what it does, a host that
//! synchronises or another stream that waits for an event. What nobody waits for properly is then still undone, and a copy
//! from page-locked memory copies what is there by then. `EMULATED_DEVICE=soon` does all work at once instead.
//! Every allocation ends at a page that cannot be touched, begins as NaNs, and is gone when it is freed.
//!
//! Memory, events and functions have their addresses as handles; the program is trusted not to use others.

mod blas;
mod candle;
mod driver;
mod element;
mod kernel;
mod machine;
mod memory;
