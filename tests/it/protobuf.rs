//! As much of protobuf as writing metrics needs.

/// Appends a field of bytes: a text or a message.
pub(crate) fn field(message: &mut Vec<u8>, number: u8, content: &[u8]) {
    message.push(number << 3 | 2);
    varint(message, content.len() as u64);
    message.extend(content);
}

/// Appends a number.
pub(crate) fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// One series of remote write 1: a field of the request.
pub(crate) fn remote_write(request: &mut Vec<u8>, labels: &[(&str, &str)], millis: i64, value: f64) {
    let mut series = vec![];
    for (name, value) in labels {
        let mut label = vec![];
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut series, 1, &label);
    }
    field(&mut series, 2, &sample(millis, value));
    field(request, 1, &series);
}

/// One series of remote write 2, its labels by their symbols: a field of the request.
pub(crate) fn remote_write_2(request: &mut Vec<u8>, symbols: &[u64], millis: i64, value: f64) {
    let (mut series, mut packed) = (vec![], vec![]);
    symbols.iter().for_each(|symbol| varint(&mut packed, *symbol));
    field(&mut series, 1, &packed);
    field(&mut series, 2, &sample(millis, value));
    field(request, 5, &series);
}

fn sample(millis: i64, value: f64) -> Vec<u8> {
    let mut sample = vec![0x09];
    sample.extend(value.to_le_bytes());
    sample.push(0x10);
    varint(&mut sample, millis as u64);
    sample
}

/// One data point of an OTLP gauge.
pub(crate) fn otlp_point(gauge: &mut Vec<u8>, labels: &[(&str, &str)], millis: i64, value: f64) {
    let mut point = vec![];
    for (name, value) in labels {
        let (mut pair, mut any) = (vec![], vec![]);
        field(&mut any, 1, value.as_bytes());
        field(&mut pair, 1, name.as_bytes());
        field(&mut pair, 2, &any);
        field(&mut point, 7, &pair);
    }
    point.push(0x19);
    point.extend((millis as u64 * 1_000_000).to_le_bytes());
    point.push(0x21);
    point.extend(value.to_le_bytes());
    field(gauge, 1, &point);
}

/// A whole OTLP request around a gauge's points.
pub(crate) fn otlp(name: &str, gauge: &[u8]) -> Vec<u8> {
    let (mut metric, mut scope, mut resource, mut request) = (vec![], vec![], vec![], vec![]);
    field(&mut metric, 1, name.as_bytes());
    field(&mut metric, 5, gauge);
    field(&mut scope, 2, &metric);
    field(&mut resource, 2, &scope);
    field(&mut request, 1, &resource);
    request
}
