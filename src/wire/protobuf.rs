//! Protobuf's wire format, read where it lies: no text is copied and nothing is allocated, which generated messages do.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use super::Reject;

/// The fields of a message, in the order they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'p>(&'p [u8]);

/// A field's number and what it holds.
pub(super) type Field<'p> = (u32, Wire<'p>);

/// What a field holds, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wire<'p> {
    /// An integer, a boolean or an enumeration.
    Varint(u64),
    /// Eight bytes, little end first.
    Fixed64(u64),
    /// Four bytes, little end first.
    Fixed32(u32),
    /// A text, bytes, a message, or a list of numbers.
    Bytes(&'p [u8]),
}

impl<'p> Fields<'p> {
    /// Of a message.
    #[must_use]
    pub(super) fn of(message: &'p [u8]) -> Self {
        Self(message)
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'p [u8] {
        self.0
    }

    fn varint(&mut self) -> Result<u64, Reject> {
        let mut value = 0;
        for (place, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Ok(value);
            }
        }
        Err(torn())
    }

    fn bytes(&mut self, long: usize) -> Result<&'p [u8], Reject> {
        let (bytes, rest) = self.0.split_at_checked(long).ok_or_else(torn)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The next field; none at the end.
    ///
    /// # Errors
    /// The bytes are no message.
    pub(super) fn read(&mut self) -> Result<Option<Field<'p>>, Reject> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or_else(torn)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.bytes(8)?.try_into().map_err(|_| torn())?)),
            2 => {
                let long = usize::try_from(self.varint()?).map_err(|_| torn())?;
                Wire::Bytes(self.bytes(long)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.bytes(4)?.try_into().map_err(|_| torn())?)),
            _ => return Err(torn()),
        };
        Ok(Some((number, wire)))
    }
}

/// A message, parted into the fields of one number and what lies before and after them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parted<'p> {
    /// The fields of that number, as they lie.
    pub(super) those: &'p [u8],
    /// The others.
    pub(super) others: [&'p [u8]; 2],
}

/// Parts a message; none where the fields of that number do not lie next to each other.
///
/// # Errors
/// The bytes are no message.
pub(super) fn parted(message: &[u8], wanted: u32) -> Result<Option<Parted<'_>>, Reject> {
    let mut fields = Fields::of(message);
    let (mut start, mut end) = (0, 0);
    loop {
        let before = message.len() - fields.rest().len();
        match fields.read()? {
            None => break,
            Some((number, _)) if number == wanted => {
                if end == 0 {
                    start = before;
                } else if end != before {
                    return Ok(None);
                }
                end = message.len() - fields.rest().len();
            }
            Some(_) => {}
        }
    }
    let (before, rest) = message.split_at(start);
    let (those, after) = rest.split_at(end - start);
    Ok(Some(Parted { those, others: [before, after] }))
}

fn torn() -> Reject {
    Reject::new("not_protobuf", "the bytes are no message in protobuf's wire format")
}

impl<'p> Wire<'p> {
    /// As a message or bytes; empty where it is neither.
    #[must_use]
    pub(super) fn bytes(self) -> &'p [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => &[],
        }
    }

    /// As a text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub(super) fn text(self) -> Result<&'p str, Reject> {
        std::str::from_utf8(self.bytes()).map_err(|e| Reject::new("not_text", e.to_string()))
    }

    /// As an integer.
    #[must_use]
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => number,
            Self::Fixed32(number) => u64::from(number),
            Self::Bytes(_) => 0,
        }
    }

    /// As an integer with a sign, in two's complement.
    #[must_use]
    pub(super) fn signed(self) -> i64 {
        self.number().cast_signed()
    }

    /// As an integer with a sign, in zigzag.
    #[must_use]
    pub(super) fn zigzag(self) -> i64 {
        unzigzag(self.number())
    }

    /// As a floating-point number of eight bytes.
    #[must_use]
    pub(super) fn double(self) -> f64 {
        f64::from_bits(self.number())
    }
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Calls for each number of a list of varints, packed or not.
///
/// # Errors
/// The list is torn.
pub(super) fn varints(wire: Wire<'_>, mut take: impl FnMut(u64)) -> Result<(), Reject> {
    match wire {
        Wire::Bytes(bytes) => {
            let mut rest = Fields(bytes);
            while !rest.0.is_empty() {
                take(rest.varint()?);
            }
        }
        single => take(single.number()),
    }
    Ok(())
}

/// Likewise, in zigzag.
///
/// # Errors
/// The list is torn.
pub(super) fn zigzags(wire: Wire<'_>, mut take: impl FnMut(i64)) -> Result<(), Reject> {
    varints(wire, |number| take(unzigzag(number)))
}

/// Calls for each number of a list of eight-byte numbers, packed or not.
///
/// # Errors
/// The list is torn.
pub(super) fn fixed64s(wire: Wire<'_>, mut take: impl FnMut(u64)) -> Result<(), Reject> {
    match wire {
        Wire::Bytes(bytes) => {
            let numbers = bytes.chunks_exact(8);
            if !numbers.remainder().is_empty() {
                return Err(torn());
            }
            numbers.for_each(|number| take(number.try_into().map_or(0, u64::from_le_bytes)));
        }
        single => take(single.number()),
    }
    Ok(())
}
