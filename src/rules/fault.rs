//! Faults in what was written: where, what, and what is allowed instead.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A place in a file. Line and column count from 1; 0 means the file as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file, as it was named to us.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// One fault. Ordered by place, so a list of them reads like the files do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What is wrong, with the value, and what would be right.
    pub message: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A value that remembers where it was written (line and column; the file is known to the reader).
#[derive(Clone, Debug, Default)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) value: T,
}

/// The name by which [`At`] asks our own deserializer for its place; others just give the value.
pub(super) const AT: &str = "$richter::At";

impl<T> At<T> {
    pub(super) fn place(&self, file: &str) -> Place {
        Place { file: file.to_owned(), line: self.line, column: self.column }
    }

    /// A value that was not written anywhere: a default.
    pub(super) fn nowhere(value: T) -> Self {
        Self { line: 0, column: 0, value }
    }

    /// Another value, at the same place.
    pub(super) fn with<U>(&self, value: U) -> At<U> {
        At { line: self.line, column: self.column, value }
    }

    pub(super) fn fault(&self, file: &str, message: impl Into<String>) -> Fault {
        Fault { place: self.place(file), message: message.into() }
    }
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(s)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = At<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<At<T>, D::Error> {
                T::deserialize(d).map(|value| At { line: 0, column: 0, value })
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<At<T>, A::Error> {
                let missing = || de::Error::custom("a place has three parts");
                let line = seq.next_element()?.ok_or_else(missing)?;
                let column = seq.next_element()?.ok_or_else(missing)?;
                let value = seq.next_element()?.ok_or_else(missing)?;
                Ok(At { line, column, value })
            }
        }
        d.deserialize_newtype_struct(AT, Visitor(std::marker::PhantomData))
    }
}
