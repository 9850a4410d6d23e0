use super::{Value, first, values};

/// Made by TensorBoard's own code:
///
/// ```python
/// from tensorboard.compat.proto.event_pb2 import Event, SessionLog
/// from tensorboard.summary.writer.record_writer import RecordWriter
/// import io
/// out = io.BytesIO()
/// writer = RecordWriter(out)
/// event = Event(wall_time=2.5, step=300)
/// event.summary.value.add(tag="train/loss", simple_value=0.25)
/// value = event.summary.value.add(tag="config")
/// value.tensor.dtype = 7
/// value.tensor.tensor_shape.dim.add(size=1)
/// value.tensor.string_val.append("φ".encode())
/// value.metadata.plugin_data.plugin_name = "text"
/// writer.write(event.SerializeToString())
/// print(out.getvalue().hex())
/// ```
#[test]
fn the_bytes_are_those_of_tensorboard() {
    let texts = [("train/loss", Value::Scalar(0.25)), ("config", Value::Text("φ".to_owned()))];
    let found = values(2.5, 300, texts.iter().map(|(tag, value)| (*tag, value)));
    assert_eq!(hex(&found), THEIRS);
    assert!(hex(&first(1.5)).contains(&hex(b"brain.Event:2")));
}

const THEIRS: &str = "\
    4300000000000000b18525a009000000000000044010ac022a350a110a0a747261696e2f6c6f7373150000803e0a200a0663\
    6f6e666967420c08071204120208014202cf864a080a060a04746578743e7f2625";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
