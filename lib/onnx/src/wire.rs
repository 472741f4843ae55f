//! Protocol Buffers' wire format, as far as ONNX models need it:
//! <https://protobuf.dev/programming-guides/encoding/>.

/// The fields of one message, encoded in the order in which they are put.
#[derive(Debug, Clone, Default)]
pub struct Message(Vec<u8>);

/// How a field's value is laid out.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Length = 2,
    Fixed32 = 5,
}

impl Message {
    /// A whole number: `int32`, `int64` or an enumeration. A negative one takes ten bytes.
    #[must_use]
    pub fn integer(mut self, field: u32, value: i64) -> Self {
        self.tag(field, WireType::Varint);
        self.varint(value.cast_unsigned());
        self
    }

    /// One field per number, the form of repeated numbers that are not packed.
    #[must_use]
    pub fn integers(self, field: u32, values: &[i64]) -> Self {
        values.iter().fold(self, |message, &value| message.integer(field, value))
    }

    /// A `float`.
    #[must_use]
    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.tag(field, WireType::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// `bytes`.
    #[must_use]
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.tag(field, WireType::Length);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A `string`.
    #[must_use]
    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// A message inside this one.
    #[must_use]
    pub fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// One field per message.
    #[must_use]
    pub fn messages(self, field: u32, values: &[Self]) -> Self {
        values.iter().fold(self, |message, value| message.message(field, value))
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The encoded message.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, field: u32, kind: WireType) {
        self.varint(u64::from(field) << 3 | kind as u64);
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's own description.
    #[test]
    fn the_format_s_examples_are_met() {
        let bytes = |message: Message| message.into_bytes();
        assert_eq!(bytes(Message::default().integer(1, 150)), [0x08, 0x96, 0x01]);
        let testing = [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        assert_eq!(bytes(Message::default().text(2, "testing")), testing);
        let inner = Message::default().integer(1, 150);
        assert_eq!(bytes(Message::default().message(3, &inner)), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(bytes(Message::default().integer(1, -2)), minus_two);
        assert_eq!(bytes(Message::default().float(2, 1.0)), [0x15, 0, 0, 0x80, 0x3f]);
    }

    #[test]
    fn fields_beyond_15_take_two_bytes_and_numbers_are_repeated() {
        assert_eq!(Message::default().integer(20, 7).into_bytes(), [0xa0, 0x01, 0x07]);
        assert_eq!(Message::default().integers(8, &[3, 3]).into_bytes(), [0x40, 3, 0x40, 3]);
        let long = Message::default().bytes(9, &[0; 200]);
        assert_eq!(&long.clone().into_bytes()[..3], [0x4a, 0xc8, 0x01]);
        assert_eq!(long.len(), 203);
    }
}
