//! The members of a situation.

use std::iter::FilterMap;
use std::slice;

use serde::{Deserialize, Serialize, Serializer};

use super::sign::SignId;
use super::situation::Member;

/// In so few places gaps stay.
const FEW: usize = 16;

/// A member, and its sign, by which alone it is known whether it leaves; or the gap of one that has left.
type Place = Option<(SignId, Box<Member>)>;

/// In the order they joined. One that leaves leaves a gap, so that the others keep their places until half of all are gaps.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<Box<Member>>")]
pub struct Members {
    places: Vec<Place>,
    number: usize,
}

impl Members {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.number
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.number == 0
    }

    /// All of them, in the order they joined.
    pub fn iter(&self) -> Iter<'_> {
        self.places.iter().filter_map(|place| place.as_ref().map(|(_, member)| &**member))
    }

    /// With the place of each.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, &Member)> {
        self.places.iter().enumerate().filter_map(|(at, place)| Some((at, &*place.as_ref()?.1)))
    }

    /// Those of a sign.
    pub(super) fn of(&self, sign: SignId) -> impl Iterator<Item = &Member> {
        self.places.iter().flatten().filter(move |(of, _)| *of == sign).map(|(_, member)| &**member)
    }

    /// The one at that place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&Member> {
        Some(&*self.places.get(place)?.as_ref()?.1)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Member> {
        Some(&mut *self.places.get_mut(place)?.as_mut()?.1)
    }

    /// Takes one in; gives its place.
    pub(super) fn push(&mut self, member: Box<Member>) -> usize {
        if self.places.is_empty() {
            // Most situations have one.
            self.places.reserve_exact(1);
        }
        self.number += 1;
        self.places.push(Some((member.sign, member)));
        self.places.len() - 1
    }

    /// Takes out the one at that place.
    pub(super) fn remove(&mut self, place: usize) -> Option<Box<Member>> {
        let (_, member) = self.places.get_mut(place)?.take()?;
        self.number -= 1;
        Some(member)
    }

    /// Takes out all that is of signs that leave.
    #[expect(clippy::vec_box, reason = "as they are kept")]
    pub(super) fn take(&mut self, leaves: impl Fn(SignId) -> bool) -> Vec<Box<Member>> {
        let leaving = self.places.iter_mut().filter(|place| place.as_ref().is_some_and(|(sign, _)| leaves(*sign)));
        let gone: Vec<Box<Member>> = leaving.filter_map(Option::take).map(|(_, member)| member).collect();
        self.number -= gone.len();
        gone
    }

    /// Closes the gaps if there are many; tells whether it did, and members have other places now.
    pub(super) fn close_gaps(&mut self) -> bool {
        let many = self.places.len() > (2 * self.number).max(FEW);
        if many {
            self.places.retain(Option::is_some);
        }
        many
    }
}

impl From<Vec<Box<Member>>> for Members {
    fn from(members: Vec<Box<Member>>) -> Self {
        let number = members.len();
        Self { places: members.into_iter().map(|member| Some((member.sign, member))).collect(), number }
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.iter().collect::<Vec<_>>().serialize(serializer)
    }
}

/// Members, one after the other.
type Iter<'m> = FilterMap<slice::Iter<'m, Place>, fn(&'m Place) -> Option<&'m Member>>;

impl<'m> IntoIterator for &'m Members {
    type Item = &'m Member;
    type IntoIter = Iter<'m>;

    fn into_iter(self) -> Iter<'m> {
        self.iter()
    }
}
