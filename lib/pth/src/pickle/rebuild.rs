//! What calls, persistent ids and states make of their arguments.

use super::{Global, Machine};
use crate::PthError;
use crate::tensor::View;
use crate::value::{Id, Value};

impl<'a> Machine<'_, 'a> {
    /// REDUCE and NEWOBJ: a callable or class, and a tuple of arguments.
    pub(super) fn call(&mut self) -> Result<(), PthError> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Value::Global(global) = *self.objects.get(callee) else {
            let kind = self.objects.get(callee).kind();
            return Err(self.error(format!("calls {kind}")));
        };
        let Value::Tuple(arguments) = self.objects.get(arguments) else {
            let kind = self.objects.get(arguments).kind();
            return Err(self.error(format!("calls with {kind} for a tuple of arguments")));
        };
        let value = match (global, arguments.as_slice()) {
            (Global::Dict, &[] | &[_]) => {
                let content = arguments.first().copied();
                return self.dict(content);
            }
            (Global::Tensor, &[storage, offset, shape, strides, ..]) => {
                let view = View::new(self.objects, storage, offset, shape, strides);
                Value::Tensor(view.map_err(|reason| self.error(reason))?)
            }
            (Global::Parameter, &[tensor, ..]) => match self.objects.get(tensor) {
                Value::Tensor(_) => return self.push_id(tensor),
                other => return Err(self.error(format!("a parameter of {}", other.kind()))),
            },
            // A tuple is never changed, so that a shape need not be another one.
            (Global::Size, &[sizes]) => return self.push_id(sizes),
            (Global::Size, &[]) => Value::Tuple(Vec::new()),
            (Global::NumpyType, &[code, ..]) => match self.objects.text(code) {
                Some(code) => Value::NumpyType(code),
                None => return Err(self.error("a NumPy type without a name")),
            },
            (Global::NumpyScalar, &[kind, bytes]) => self.scalar(kind, bytes),
            (Global::NumpyScalar, _) => Value::Record("a NumPy scalar"),
            (Global::Encode, &[text, encoding]) => {
                match (self.objects.text(text), self.objects.text(encoding)) {
                    (Some(text), Some("latin1" | "latin-1")) => Value::Latin1(text),
                    _ => return Err(self.error("bytes in an encoding other than latin1")),
                }
            }
            (Global::Record(class), _) => Value::Record(class),
            _ => return Err(self.error("calls with arguments that do not suit")),
        };
        self.push(value)
    }

    /// A dictionary: empty, another one, of a list of pairs, or with a default that is not kept.
    fn dict(&mut self, content: Option<Id>) -> Result<(), PthError> {
        let items = match content.map(|content| (content, self.objects.get(content))) {
            Some((same, Value::Dict(_))) => return self.push_id(same),
            Some((_, Value::List(pairs))) if !pairs.is_empty() => {
                let pairs = pairs.iter().map(|&pair| match self.objects.get(pair) {
                    Value::List(pair) | Value::Tuple(pair) => match pair.as_slice() {
                        &[key, value] => Some((key, value)),
                        _ => None,
                    },
                    _ => None,
                });
                let pairs: Option<Vec<(Id, Id)>> = pairs.collect();
                pairs.ok_or_else(|| self.error("a dictionary of a list that is not of pairs"))?
            }
            None | Some((_, Value::List(_) | Value::Global(_) | Value::None)) => Vec::new(),
            Some((_, other)) => {
                return Err(self.error(format!("a dictionary of {}", other.kind())));
            }
        };
        self.copied(items.len())?;
        self.push(Value::Dict(items))
    }

    /// A NumPy scalar as the plain value it is; anything but little-endian numbers of up to 8 bytes is not kept.
    fn scalar(&self, kind: Id, bytes: Id) -> Value<'a> {
        let mut raw = [0; 8];
        let content: Option<Vec<u8>> = match *self.objects.get(bytes) {
            Value::Bytes(bytes) => bytes.get(..bytes.len().min(9)).map(<[u8]>::to_vec),
            Value::Latin1(text) | Value::Str(text) => {
                text.chars().take(9).map(|c| u8::try_from(u32::from(c)).ok()).collect()
            }
            _ => None,
        };
        let content = content.unwrap_or_default();
        if let Some(raw) = raw.get_mut(..content.len()) {
            raw.copy_from_slice(&content);
        }
        let number = u64::from_le_bytes(raw);
        let Value::NumpyType(code) = *self.objects.get(kind) else {
            return Value::Record("a NumPy scalar");
        };
        match (code, content.len()) {
            ("f8", 8) => Value::Float(f64::from_bits(number)),
            ("f4", 4) => Value::Float(f64::from(f32::from_bits(number as u32))),
            ("i8", 8) => Value::Int(number.cast_signed()),
            ("i4", 4) => Value::Int(i64::from((number as u32).cast_signed())),
            ("b1", 1) => Value::Bool(number != 0),
            _ => Value::Record("a NumPy scalar"),
        }
    }

    /// BINPERSID: a storage.
    pub(super) fn persistent(&mut self) -> Result<(), PthError> {
        let id = self.pop()?;
        let Value::Tuple(parts) = self.objects.get(id) else {
            return Err(self.error("a persistent id that is no tuple"));
        };
        let &[tag, class, key, _location, count, ref view @ ..] = parts.as_slice() else {
            return Err(self.error(format!("a persistent id of {} parts", parts.len())));
        };
        if self.objects.text(tag) != Some("storage") {
            return Err(self.error("a persistent id that is no storage"));
        }
        if view.iter().any(|&part| *self.objects.get(part) != Value::None) {
            let what = "a storage that is a view of another, as PyTorch wrote them before 0.4,";
            return Err(PthError::Unsupported { what: what.to_owned() });
        }
        let Value::Global(Global::Storage(dtype)) = *self.objects.get(class) else {
            return Err(self.error(format!("a storage of {}", self.objects.get(class).kind())));
        };
        let (Some(key), Some(count)) = (self.objects.text(key), self.objects.count(count)) else {
            return Err(self.error("a storage without a key or without a number of elements"));
        };
        let index = self.objects.storages.declare(key, dtype, count)?;
        self.push(Value::Storage(index))
    }

    /// BUILD: a state for the object below it. None of ours has any, but for the order of a NumPy type's bytes.
    pub(super) fn build(&mut self) -> Result<(), PthError> {
        let (state, target) = (self.pop()?, self.top()?);
        let big_endian = match self.objects.get(state) {
            Value::Tuple(parts) => {
                parts.get(1).is_some_and(|&order| self.objects.text(order) == Some(">"))
            }
            _ => false,
        };
        match self.objects.get_mut(target) {
            Some(Value::NumpyType(code)) if big_endian => *code = "",
            Some(Value::NumpyType(_) | Value::Dict(_) | Value::Record(_) | Value::Tensor(_)) => {}
            _ => {
                let kind = self.objects.get(target).kind();
                return Err(self.error(format!("gives a state to {kind}")));
            }
        }
        Ok(())
    }
}
