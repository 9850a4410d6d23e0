//! The messages of an event file, as protocol buffers, and the records that hold them.
//!
//! The fields are those of TensorBoard's `event.proto`, `summary.proto` and `tensor.proto`:
//!
//! ```text
//! Event    wall_time 1 double, step 2 int64, file_version 3 string, summary 5 Summary, session_log 7 SessionLog
//! Summary  value 1, repeated: tag 1 string, simple_value 2 float, tensor 8 TensorProto, metadata 9 SummaryMetadata
//! SummaryMetadata  plugin_data 1: plugin_name 1 string
//! TensorProto  dtype 1 enum (7 is a string), tensor_shape 2, string_val 8
//! SessionLog   status 1 enum (1 is START)
//! ```

use super::crc32c::crc32c;

/// A message that is being encoded.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

/// How a field is encoded.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Message {
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, encoding: u64) {
        self.raw_varint(field << 3 | encoding);
    }

    fn int(mut self, field: u64, value: u64) -> Self {
        self.key(field, VARINT);
        self.raw_varint(value);
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.key(field, FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, FIXED32);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.key(field, BYTES);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, &value.0)
    }
}

/// A value of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    /// Markdown.
    Text(String),
}

fn event(time: f64, step: u64) -> Message {
    Message::default().double(1, time).int(2, step)
}

fn value(tag: &str, value: &Value) -> Message {
    let message = Message::default().bytes(1, tag.as_bytes());
    match value {
        Value::Scalar(number) => message.float(2, *number as f32),
        Value::Text(text) => {
            let plugin = Message::default().bytes(1, b"text");
            let one = Message::default().message(2, Message::default().int(1, 1));
            let tensor = Message::default().int(1, 7).message(2, one).bytes(8, text.as_bytes());
            message.message(8, tensor).message(9, Message::default().message(1, plugin))
        }
    }
}

/// The first records of a file: its version, and that it replaces what a reader has seen of the run.
pub(super) fn first(time: f64) -> Vec<u8> {
    let version = event(time, 0).bytes(3, b"brain.Event:2");
    let start = event(time, 0).message(7, Message::default().int(1, 1));
    [record(&version.0), record(&start.0)].concat()
}

/// A record with some values of one step.
pub(super) fn values<'a>(
    time: f64,
    step: u64,
    values: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Vec<u8> {
    let add = |summary: Message, (tag, found)| summary.message(1, value(tag, found));
    record(&event(time, step).message(5, values.fold(Message::default(), add)).0)
}

/// A message as a record: its length and the checksum of that, itself and its checksum, all with the lowest byte first.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let checksum = |bytes: &[u8]| masked(crc32c(bytes)).to_le_bytes();
    [&length[..], &checksum(&length), message, &checksum(message)].concat()
}

/// A checksum as files have it, since that of a text with checksums in it would be weak.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests;
