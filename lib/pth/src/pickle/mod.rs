//! The pickle interpreter: a stack, a memo, and the opcodes that checkpoints are made of.

mod globals;
mod rebuild;

use std::collections::HashMap;

pub use globals::Global;

use crate::PthError;
use crate::cursor::Cursor;
use crate::error::shown;
use crate::value::{Id, MAX_OBJECTS, Objects, Value};

/// Interprets one pickle from where `cursor` stands, leaves it behind that pickle, and names its value.
///
/// # Errors
/// What the pickle breaks, with the offset of the opcode.
pub(crate) fn load<'a>(cursor: &mut Cursor<'a>, objects: &mut Objects<'a>) -> Result<Id, PthError> {
    let opcode_at = cursor.offset();
    let memo = HashMap::new();
    let (stack, marks) = (Vec::new(), Vec::new());
    Machine { cursor, objects, stack, marks, memo, copied: 0, opcode_at }.run()
}

struct Machine<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    objects: &'c mut Objects<'a>,
    stack: Vec<Id>,
    /// Heights of the stack where marks lie; what is below the last one is out of reach.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Items that calls have copied from one container to another.
    copied: usize,
    opcode_at: usize,
}

impl<'a> Machine<'_, 'a> {
    fn run(mut self) -> Result<Id, PthError> {
        loop {
            self.opcode_at = self.cursor.offset();
            let opcode = self.cursor.u8("a pickle's next opcode")?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), PthError> {
        match opcode {
            // PROTO, and FRAME: what a frame holds is read as it comes.
            0x80 => match self.cursor.u8("a pickle's protocol")? {
                0..=5 => Ok(()),
                other => Err(self.error(format!("pickle protocol {other}, of which 0 to 5 exist"))),
            },
            0x95 => {
                let length = self.cursor.u64("a frame's length")?;
                let mut whole = *self.cursor;
                whole.take(length, "a frame").map(drop)
            }
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'G' => self.number(opcode),
            b'X' | 0x8c | 0x8d | b'T' | b'U' | b'B' | b'C' | 0x8e => self.string(opcode),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x8f => self.push(Value::Record("a set")),
            b'l' | b't' | b'd' | 0x91 => self.collect_marked(opcode),
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84)),
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(opcode),
            b'(' => self.mark(),
            b'0' => self.drop_top(),
            b'1' => self.marked().map(drop),
            b'2' => self.top().and_then(|id| self.push_id(id)),
            b'q' | b'r' | b'p' | 0x94 => self.put(opcode),
            b'h' | b'j' | b'g' => self.get(opcode),
            b'c' | 0x93 => self.global(opcode),
            b'Q' => self.persistent(),
            b'R' | 0x81 => self.call(),
            b'b' => self.build(),
            _ => Err(PthError::Opcode { offset: self.opcode_at, opcode }),
        }
    }

    fn error(&self, reason: impl Into<String>) -> PthError {
        PthError::Pickle { offset: self.opcode_at, reason: reason.into() }
    }

    fn too_many(&self) -> PthError {
        self.error(format!("more than {MAX_OBJECTS} values"))
    }

    /// Counts items copied: a container that is copied over and over would take far more than the file.
    fn copied(&mut self, items: usize) -> Result<(), PthError> {
        self.copied += items;
        if self.copied > MAX_OBJECTS { Err(self.too_many()) } else { Ok(()) }
    }

    fn add(&mut self, value: Value<'a>) -> Result<Id, PthError> {
        self.objects.add(value).ok_or_else(|| self.too_many())
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), PthError> {
        let id = self.add(value)?;
        self.push_id(id)
    }

    fn push_id(&mut self, id: Id) -> Result<(), PthError> {
        if self.stack.len() >= MAX_OBJECTS {
            return Err(self.too_many());
        }
        self.stack.push(id);
        Ok(())
    }

    /// Height below which an opcode may not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, PthError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Id, PthError> {
        let reachable = self.stack.get(self.floor()..).and_then(<[Id]>::last);
        reachable.copied().ok_or_else(|| self.error("takes a value from an empty stack"))
    }

    fn mark(&mut self) -> Result<(), PthError> {
        if self.marks.len() >= MAX_OBJECTS {
            return Err(self.too_many());
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Takes what lies above the last mark, and the mark.
    fn marked(&mut self) -> Result<Vec<Id>, PthError> {
        let Some(height) = self.marks.pop() else {
            return Err(self.error("takes values down to a mark that is not there"));
        };
        Ok(self.stack.split_off(height))
    }

    /// POP also takes a mark, where that is on top.
    fn drop_top(&mut self) -> Result<(), PthError> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    fn tuple(&mut self, items: usize) -> Result<(), PthError> {
        let from = self.stack.len().checked_sub(items).filter(|&from| from >= self.floor());
        let Some(from) = from else {
            return Err(self.error(format!("a tuple of {items} from a stack of fewer values")));
        };
        let items = self.stack.split_off(from);
        self.push(Value::Tuple(items))
    }

    fn collect_marked(&mut self, opcode: u8) -> Result<(), PthError> {
        let items = self.marked()?;
        let value = match opcode {
            b'l' => Value::List(items),
            b't' => Value::Tuple(items),
            b'd' => Value::Dict(self.pairs(&items)?),
            _ => Value::Record("a set"),
        };
        self.push(value)
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, PthError> {
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(self.error("a key without a value"));
        }
        Ok(pairs.iter().map(|&[key, value]| (key, value)).collect())
    }

    /// APPEND, APPENDS, SETITEM, SETITEMS and ADDITEMS.
    fn extend(&mut self, opcode: u8) -> Result<(), PthError> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.marked()?,
        };
        let target = self.top()?;
        let pairs = if matches!(opcode, b's' | b'u') { self.pairs(&items)? } else { Vec::new() };
        match (opcode, self.objects.get_mut(target)) {
            (b'a' | b'e', Some(Value::List(list))) => list.extend(items),
            (b's' | b'u', Some(Value::Dict(dict))) => dict.extend(pairs),
            (b'a' | b'e' | b's' | b'u' | 0x90, Some(Value::Record(_))) => {}
            _ => {
                let kind = self.objects.get(target).kind();
                return Err(self.error(format!("adds items to {kind}")));
            }
        }
        Ok(())
    }

    fn put(&mut self, opcode: u8) -> Result<(), PthError> {
        let index = match opcode {
            b'q' => self.cursor.u8("a memo index").map(u32::from)?,
            b'r' => self.cursor.u32("a memo index")?,
            b'p' => self.memo_line()?,
            _ => self.memo.len() as u32,
        };
        let top = self.top()?;
        if self.memo.len() >= MAX_OBJECTS {
            return Err(self.too_many());
        }
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Result<(), PthError> {
        let index = match opcode {
            b'h' => self.cursor.u8("a memo index").map(u32::from)?,
            b'j' => self.cursor.u32("a memo index")?,
            _ => self.memo_line()?,
        };
        match self.memo.get(&index) {
            Some(&id) => self.push_id(id),
            None => {
                Err(self.error(format!("takes value {index} of the memo, which was not put there")))
            }
        }
    }

    fn memo_line(&mut self) -> Result<u32, PthError> {
        let line = self.cursor.line("a memo index")?;
        let index = str::from_utf8(line).ok().and_then(|line| line.parse().ok());
        index.ok_or_else(|| self.error("a memo index that is no number"))
    }

    fn number(&mut self, opcode: u8) -> Result<(), PthError> {
        const WHAT: &str = "a number";
        let value = match opcode {
            b'J' => Value::Int(i64::from(self.cursor.u32(WHAT)?.cast_signed())),
            b'K' => Value::Int(i64::from(self.cursor.u8(WHAT)?)),
            b'M' => Value::Int(i64::from(self.cursor.u16(WHAT)?)),
            b'G' => Value::Float(self.cursor.f64_big_endian(WHAT)?),
            b'I' | b'L' => self.number_line()?,
            _ => {
                let length = if opcode == 0x8a {
                    u32::from(self.cursor.u8(WHAT)?)
                } else {
                    self.cursor.u32(WHAT)?
                };
                integer(self.cursor.take(u64::from(length), WHAT)?)
            }
        };
        self.push(value)
    }

    /// INT and LONG: decimal digits; `00` and `01` are the truth values of protocol 1.
    fn number_line(&mut self) -> Result<Value<'a>, PthError> {
        let line = self.cursor.line("a number")?;
        match line.strip_suffix(b"L").unwrap_or(line) {
            b"00" => Ok(Value::Bool(false)),
            b"01" => Ok(Value::Bool(true)),
            digits => {
                let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                number.map(Value::Int).ok_or_else(|| self.error("digits that are no number"))
            }
        }
    }

    fn string(&mut self, opcode: u8) -> Result<(), PthError> {
        const WHAT: &str = "a string";
        let length = match opcode {
            0x8c | b'U' | b'C' => u64::from(self.cursor.u8(WHAT)?),
            0x8d | 0x8e => self.cursor.u64(WHAT)?,
            _ => u64::from(self.cursor.u32(WHAT)?),
        };
        let bytes = self.cursor.take(length, WHAT)?;
        let value = match (opcode, str::from_utf8(bytes)) {
            (b'B' | b'C' | 0x8e, _) => Value::Bytes(bytes),
            (_, Ok(text)) => Value::Str(text),
            // Python 2 wrote bytes so.
            (b'T' | b'U', Err(_)) => Value::Bytes(bytes),
            (_, Err(_)) => return Err(self.error("a string that is not UTF-8")),
        };
        self.push(value)
    }

    fn global(&mut self, opcode: u8) -> Result<(), PthError> {
        let (module, name) = if opcode == b'c' {
            let module = self.cursor.line("a module's name")?;
            let name = self.cursor.line("a name")?;
            match (str::from_utf8(module), str::from_utf8(name)) {
                (Ok(module), Ok(name)) => (module, name),
                _ => return Err(self.error("a name that is not UTF-8")),
            }
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.objects.text(module), self.objects.text(name)) {
                (Some(module), Some(name)) => (module, name),
                _ => return Err(self.error("a name that is no string")),
            }
        };
        match Global::find(module, name) {
            Some(global) => self.push(Value::Global(global)),
            None => {
                let name = format!("{}.{}", shown(module), shown(name));
                Err(PthError::Refused { offset: self.opcode_at, name })
            }
        }
    }
}

/// Little-endian two's complement of any length.
fn integer(bytes: &[u8]) -> Value<'_> {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|&last| last >= 0x80);
    let mut whole = if negative { [0xff; 8] } else { [0; 8] };
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(whole))
}
