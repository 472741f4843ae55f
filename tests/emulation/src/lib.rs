//! CUDA kernels on the host: a launch runs block after block, the threads of a block in turns.
//!
//! Every launch is run in several orders of blocks and threads, each on a copy of its buffers that ends at, or begins
//! after, memory that cannot be touched. What differs between orders is a race; what reaches past a buffer, or waits where
//! not all threads come, is named. Not found are races whose outcome no order changes, and reads just before a buffer's
//! start or past its end that stay inside the page and change nothing.

mod memory;

use std::ffi::CString;
use std::sync::Mutex;

use memory::{Guarded, Side};

/// Orders in which blocks and threads run: as they come, backwards, and shuffled.
const ORDERS: u32 = 4;

/// What a kernel did wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault(pub String);

/// An argument of a kernel.
#[derive(Debug, Clone)]
pub enum Argument {
    /// The buffer of this number.
    Buffer(usize),
    /// No memory.
    Null,
    /// An `int`.
    Int(i32),
    /// A `float`.
    Float(f32),
    /// A struct by value: its bytes, and where in it addresses of buffers go.
    Struct(Vec<u8>, Vec<(usize, usize)>),
}

/// A launch in the making.
#[derive(Debug, Clone)]
pub struct Launch {
    kernel: String,
    blocks: [u32; 3],
    threads: [u32; 2],
    arguments: Vec<Argument>,
    buffers: Vec<Vec<u8>>,
}

/// As the shim has it.
#[repr(C)]
#[derive(Clone, Copy)]
union Taken {
    address: *const u8,
    integer: i32,
    number: f32,
}

unsafe extern "C" {
    fn emulate(
        name: *const std::ffi::c_char,
        arguments: *const Taken,
        count: usize,
        blocks: *const u32,
        threads: *const u32,
        order: u32,
        message: *mut u8,
        room: usize,
    ) -> i32;
}

/// The shim has one launch at a time.
static TURN: Mutex<()> = Mutex::new(());

impl Launch {
    /// Of the kernel of this name, on blocks of threads.
    pub fn new(kernel: &str, blocks: [usize; 2], threads: [usize; 2]) -> Self {
        let [x, y] = blocks.map(|n| n as u32);
        let threads = threads.map(|n| n as u32);
        let (arguments, buffers) = (Vec::new(), Vec::new());
        Self { kernel: kernel.to_owned(), blocks: [x, y, 1], threads, arguments, buffers }
    }

    /// Adds a buffer as the next argument.
    #[must_use]
    pub fn buffer(mut self, bytes: Vec<u8>) -> Self {
        self.arguments.push(Argument::Buffer(self.buffers.len()));
        self.buffers.push(bytes);
        self
    }

    /// Adds a buffer that a struct refers to.
    #[must_use]
    pub fn hidden(mut self, bytes: Vec<u8>) -> Self {
        self.buffers.push(bytes);
        self
    }

    /// Adds any other argument.
    #[must_use]
    pub fn argument(mut self, argument: Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Adds an `int`.
    #[must_use]
    pub fn int(self, value: usize) -> Self {
        self.argument(Argument::Int(value as i32))
    }

    /// Adds a `float`.
    #[must_use]
    pub fn float(self, value: f64) -> Self {
        self.argument(Argument::Float(value as f32))
    }

    /// Runs the launch in every order; returns the buffers as it leaves them.
    ///
    /// # Errors
    /// [`Fault`] for what the kernel does wrong in any of them.
    pub fn run(self) -> Result<Vec<Vec<u8>>, Fault> {
        let mut outcome: Option<Vec<Vec<u8>>> = None;
        for order in 0..ORDERS {
            let found = self.run_in(order)?;
            match &outcome {
                None => outcome = Some(found),
                Some(first) if *first == found => {}
                Some(first) => {
                    let buffer = first.iter().zip(&found).position(|(a, b)| a != b);
                    let buffer = buffer.unwrap_or_default();
                    return Err(Fault(format!(
                        "{}: what is in buffer {buffer} depends on the order of threads",
                        self.kernel
                    )));
                }
            }
        }
        Ok(outcome.unwrap_or_default())
    }

    fn run_in(&self, order: u32) -> Result<Vec<Vec<u8>>, Fault> {
        let fault = |text: String| Fault(format!("{}: {text}", self.kernel));
        let side = if order.is_multiple_of(2) { Side::End } else { Side::Start };
        let memory = self.buffers.iter().map(|bytes| Guarded::new(bytes, side));
        let memory =
            memory.collect::<Result<Vec<Guarded>, _>>().map_err(|e| fault(e.to_string()))?;
        let structs: Vec<Vec<u8>> = self.arguments.iter().map(|a| filled(a, &memory)).collect();
        let taken: Vec<Taken> = self
            .arguments
            .iter()
            .zip(&structs)
            .map(|(argument, bytes)| match argument {
                Argument::Buffer(number) => Taken { address: memory[*number].address() },
                Argument::Null => Taken { address: std::ptr::null() },
                Argument::Int(value) => Taken { integer: *value },
                Argument::Float(value) => Taken { number: *value },
                Argument::Struct(..) => Taken { address: bytes.as_ptr() },
            })
            .collect();
        let name = CString::new(self.kernel.clone()).map_err(|e| fault(e.to_string()))?;
        let mut message = vec![0_u8; 400];
        let turn = TURN.lock();
        // SAFETY: name, arguments and message live on; the shim checks that there is a kernel of so many arguments, and
        // what a kernel reaches beyond its buffers ends in a fault that the shim catches or in the canaries around them.
        let status = unsafe {
            emulate(
                name.as_ptr(),
                taken.as_ptr(),
                taken.len(),
                self.blocks.as_ptr(),
                self.threads.as_ptr(),
                order,
                message.as_mut_ptr(),
                message.len(),
            )
        };
        drop(turn);
        if status != 0 {
            let text: Vec<u8> = message.into_iter().take_while(|&byte| byte != 0).collect();
            return Err(fault(String::from_utf8_lossy(&text).into_owned()));
        }
        if let Some(number) = memory.iter().position(|memory| !memory.is_intact()) {
            return Err(fault(format!("writes outside buffer {number}")));
        }
        Ok(memory.iter().map(Guarded::bytes).collect())
    }
}

/// A struct's bytes with the addresses of its buffers.
fn filled(argument: &Argument, memory: &[Guarded]) -> Vec<u8> {
    let Argument::Struct(bytes, places) = argument else { return Vec::new() };
    let mut bytes = bytes.clone();
    for &(at, buffer) in places {
        let address = memory[buffer].address() as u64;
        bytes[at..at + 8].copy_from_slice(&address.to_ne_bytes());
    }
    bytes
}
