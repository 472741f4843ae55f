//! CUDA kernels on the host: every `kernel.cu` of the operators, compiled as C++, and what runs it and watches it.
//!
//! A launch runs block after block, a block's threads in turns, in several orders. Found are: threads that wait where not
//! all others come, accesses outside a buffer or outside a variable in shared memory, reads of what nobody has written,
//! outputs that are not written, writes to inputs, vectors at addresses that are no multiple of their size, accesses of
//! two threads to one place with no barrier between them, and results that depend on the order of threads or blocks.
//!
//! Every access that the compiler's instrumentation tells of is checked, byte by byte. What it does not tell of, a call of
//! memcpy for one, meets pages without access and patterns around the buffers.
//!
//! Not found is what only a device has: the errors of its approximate functions to the last bit, fused products and sums,
//! and which of its limits on registers a kernel meets.

mod element;
mod shim;

pub use element::Element;

/// What a kernel did wrong, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

/// A launch in the making: the arguments in their order, then [`Launch::over`].
#[derive(Debug)]
pub struct Launch<'a> {
    kernel: String,
    dynamic_bytes: usize,
    arguments: Vec<shim::Argument>,
    memory: Vec<shim::Memory<'a>>,
    links: Vec<shim::Link>,
}

/// What a struct among the arguments is made of, in order and without gaps.
#[derive(Debug)]
pub enum Field<'a> {
    /// An `int`.
    Int(i32),
    /// A `long long`.
    Long(i64),
    /// A `float`.
    Float(f32),
    /// The address of memory that is read.
    Input(&'a [f32]),
    /// The address of memory that is read and written.
    Changed(&'a mut [f32]),
    /// The same of bf16.
    InputBf16(&'a [half::bf16]),
    /// The same of bf16.
    ChangedBf16(&'a mut [half::bf16]),
    /// No address.
    Null,
}

impl<'a> Launch<'a> {
    /// Of the kernel of this name.
    pub fn new(kernel: &str) -> Self {
        let (arguments, memory, links) = (Vec::new(), Vec::new(), Vec::new());
        Self { kernel: kernel.to_owned(), dynamic_bytes: 0, arguments, memory, links }
    }

    /// Memory that the kernel reads.
    #[must_use]
    pub fn input<T: Element>(self, values: &'a [T]) -> Self {
        self.buffer(shim::Memory::input(values))
    }

    /// Memory of which the kernel writes all and reads nothing before.
    #[must_use]
    pub fn output<T: Element>(self, values: &'a mut [T]) -> Self {
        self.buffer(shim::Memory::output(values))
    }

    /// Memory that the kernel finds with something in it.
    #[must_use]
    pub fn changed<T: Element>(self, values: &'a mut [T]) -> Self {
        self.buffer(shim::Memory::changed(values))
    }

    fn buffer(mut self, memory: shim::Memory<'a>) -> Self {
        let (argument, buffer) = (self.arguments.len(), self.memory.len());
        self.links.push(shim::Link { argument, offset: 0, buffer });
        self.memory.push(memory);
        self.push(shim::Argument::Address)
    }

    fn push(mut self, argument: shim::Argument) -> Self {
        self.arguments.push(argument);
        self
    }

    /// Memory that the kernel is to leave alone.
    #[must_use]
    pub fn none(self) -> Self {
        self.push(shim::Argument::Address)
    }

    /// An `int`.
    #[must_use]
    pub fn int(self, number: usize) -> Self {
        self.push(shim::Argument::Integer(number as i32))
    }

    /// A `float`.
    #[must_use]
    pub fn float(self, number: f64) -> Self {
        self.push(shim::Argument::Number(number as f32))
    }

    /// A struct by value.
    #[must_use]
    pub fn structure(mut self, fields: impl IntoIterator<Item = Field<'a>>) -> Self {
        let mut bytes = Vec::new();
        for field in fields {
            match field {
                Field::Int(number) => bytes.extend(number.to_ne_bytes()),
                Field::Long(number) => bytes.extend(number.to_ne_bytes()),
                Field::Float(number) => bytes.extend(number.to_ne_bytes()),
                Field::Input(values) => self.link(&mut bytes, shim::Memory::input(values)),
                Field::Changed(values) => self.link(&mut bytes, shim::Memory::changed(values)),
                Field::InputBf16(values) => self.link(&mut bytes, shim::Memory::input(values)),
                Field::ChangedBf16(values) => self.link(&mut bytes, shim::Memory::changed(values)),
                Field::Null => bytes.extend(0_u64.to_ne_bytes()),
            }
        }
        self.push(shim::Argument::Struct(bytes))
    }

    fn link(&mut self, bytes: &mut Vec<u8>, memory: shim::Memory<'a>) {
        let (argument, offset) = (self.arguments.len(), bytes.len());
        self.links.push(shim::Link { argument, offset, buffer: self.memory.len() });
        self.memory.push(memory);
        bytes.extend(0_u64.to_ne_bytes());
    }

    /// With so many bytes of shared memory that the launch sizes.
    #[must_use]
    pub fn sharing(self, dynamic_bytes: usize) -> Self {
        Self { dynamic_bytes, ..self }
    }

    /// Runs it on so many blocks of so many threads, along x, y and z, and leaves what it writes in its memory.
    ///
    /// # Errors
    /// [`Fault`] for what it does wrong, and for arguments that are not its own.
    pub fn over(self, blocks: [usize; 3], threads: [usize; 3]) -> Result<(), Fault> {
        let Self { kernel, dynamic_bytes, arguments, memory, links } = self;
        shim::emulate_launch(&kernel, [blocks, threads], dynamic_bytes, arguments, &memory, &links)
            .map_err(Fault)
    }
}
