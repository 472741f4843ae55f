//! The one call of the shim.

use crate::Element;
use std::ffi::{CString, c_char, c_void};
use std::marker::PhantomData;

/// An argument; addresses are filled in by the shim.
#[derive(Debug)]
pub(crate) enum Argument {
    Address,
    Integer(i32),
    Number(f32),
    Struct(Vec<u8>),
}

/// A buffer, borrowed: mutably, unless it is an input.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    bytes: *mut u8,
    count: usize,
    role: u32,
    borrowed: PhantomData<&'a mut [u8]>,
}

impl<'a> Memory<'a> {
    pub(crate) fn input<T: Element>(values: &'a [T]) -> Self {
        // The shim only reads it.
        Self::of(values.as_ptr().cast_mut(), values.len(), 0)
    }

    pub(crate) fn output<T: Element>(values: &'a mut [T]) -> Self {
        Self::of(values.as_mut_ptr(), values.len(), 1)
    }

    pub(crate) fn changed<T: Element>(values: &'a mut [T]) -> Self {
        Self::of(values.as_mut_ptr(), values.len(), 2)
    }

    fn of<T: Element>(values: *mut T, len: usize, role: u32) -> Self {
        let count = len * size_of::<T>();
        Self { bytes: values.cast(), count, role, borrowed: PhantomData }
    }
}

/// Where a buffer's address goes: into an argument, inside it if that is a struct.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) argument: usize,
    pub(crate) offset: usize,
    pub(crate) buffer: usize,
}

#[repr(C)]
union Value {
    address: *mut u8,
    integer: i32,
    number: f32,
}

/// `Argument` of emulation.h.
#[repr(C)]
struct Passed {
    kind: u32,
    value: Value,
    bytes: usize,
}

/// `Request` of emulate.cpp.
#[repr(C)]
struct Request {
    kernel: *const c_char,
    blocks: [u32; 3],
    threads: [u32; 3],
    dynamic_bytes: usize,
    arguments: *mut Passed,
    argument_count: usize,
    memory: *const c_void,
    memory_count: usize,
    links: *const Link,
    link_count: usize,
}

unsafe extern "C" {
    fn emulate(request: *const Request, message: *mut u8, room: usize) -> i32;
}

/// Runs a launch; the error says what the kernel did wrong.
pub(crate) fn emulate_launch(
    kernel: &str,
    [blocks, threads]: [[usize; 3]; 2],
    dynamic_bytes: usize,
    mut arguments: Vec<Argument>,
    memory: &[Memory<'_>],
    links: &[Link],
) -> Result<(), String> {
    let name = CString::new(kernel).map_err(|e| e.to_string())?;
    let mut passed: Vec<Passed> = arguments.iter_mut().map(pass).collect();
    let request = Request {
        kernel: name.as_ptr(),
        blocks: blocks.map(|n| n as u32),
        threads: threads.map(|n| n as u32),
        dynamic_bytes,
        arguments: passed.as_mut_ptr(),
        argument_count: passed.len(),
        memory: memory.as_ptr().cast(),
        memory_count: memory.len(),
        links: links.as_ptr(),
        link_count: links.len(),
    };
    let mut message = vec![0_u8; 1000];
    // SAFETY: all that the request points to outlives the call. The shim takes a kernel by its name only with arguments of
    // its types, runs it on copies of the memory, and writes to that which is borrowed mutably.
    let status = unsafe { emulate(&request, message.as_mut_ptr(), message.len()) };
    if status == 0 {
        return Ok(());
    }
    let text: Vec<u8> = message.into_iter().take_while(|&byte| byte != 0).collect();
    Err(String::from_utf8_lossy(&text).into_owned())
}

fn pass(argument: &mut Argument) -> Passed {
    let nothing = Value { address: std::ptr::null_mut() };
    match argument {
        Argument::Address => Passed { kind: 0, value: nothing, bytes: 0 },
        Argument::Integer(integer) => {
            Passed { kind: 1, value: Value { integer: *integer }, bytes: 0 }
        }
        Argument::Number(number) => Passed { kind: 2, value: Value { number: *number }, bytes: 0 },
        Argument::Struct(bytes) => {
            Passed { kind: 3, value: Value { address: bytes.as_mut_ptr() }, bytes: bytes.len() }
        }
    }
}
