//! Randomness that is a pure function of seed, purpose and index.
//!
//! Not `rand`: its seeded generators may give other values in another release, and record 800,000 must not depend on
//! the 799,999 before it.

/// What a throw is for, so that two decisions about one record are independent of each other. Numbered by hand: another
/// purpose must not change the data of these.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Attraction = 1,
    AttractionDetails = 2,
    Change = 3,
    Event = 4,
    EventDetails = 5,
    Fault = 6,
    Sale = 7,
    SaleDetails = 8,
    SaleEvent = 9,
    SaleEventDetails = 10,
    Venue = 11,
    VenueDetails = 12,
    ManagedEvent = 20,
    ManagedAttendee = 21,
    ManagedTicket = 22,
    ManagedTransaction = 23,
    ManagedUser = 24,
    Record = 40,
    RecordTimes = 41,
    RecordChange = 42,
    AccessToken = 43,
}

/// A sequence of throws.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let purpose = mix(purpose as u64);
        Self(mix(mix(seed ^ purpose).wrapping_add(index)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// From 0 up to but not including 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From 0 up to but not including `count`, which is at least 1.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    /// As [`Dice::below`], with the small numbers more likely than the large: the power is the skew.
    pub(crate) fn skewed_below(&mut self, count: usize, power: i32) -> usize {
        ((self.unit().powi(power) * count as f64) as usize).min(count - 1)
    }

    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// One of `choices` by weight.
    pub(crate) fn weighted<'a, T>(&mut self, choices: &'a [(T, u32)]) -> &'a T {
        let total: u64 = choices.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = self.next() % total;
        for (choice, weight) in choices {
            if left < u64::from(*weight) {
                return choice;
            }
            left -= u64::from(*weight);
        }
        &choices[0].0
    }

    /// An amount of money from `low` up to `high`, in cents.
    pub(crate) fn money(&mut self, low: f64, high: f64) -> f64 {
        cents(low + (high - low) * self.unit())
    }

    /// Letters and digits, as ids and URLs have them.
    pub(crate) fn letters(&mut self, length: usize) -> String {
        (0..length).map(|_| *self.pick(BASE62) as char).collect()
    }
}

pub(crate) fn cents(amount: f64) -> f64 {
    (amount * 100.0).round() / 100.0
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `index` as a code without visible order, different for every index below 2^`BITS`: an odd factor, a rotation
/// and an addition permute the numbers of that many bits.
pub(crate) fn code<const BITS: u32>(seed: u64, index: u64, alphabet: Alphabet, length: usize) -> String {
    let mask = (1_u64 << BITS) - 1;
    let mut number = index.wrapping_mul(mix(seed) | 1) & mask;
    number ^= number >> (BITS / 2);
    number = number.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(mix(seed ^ 1)) & mask;
    number ^= number >> (BITS / 2);
    let base = alphabet as u64;
    let mut digits = vec![b'0'; length];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(number % base) as usize];
        number /= base;
    }
    String::from_utf8(digits).expect("digits are ASCII")
}

/// The digits of a [`code`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alphabet {
    Base36 = 36,
    Base62 = 62,
}

/// The finishing function of `SplitMix64`.
pub(crate) fn mix(number: u64) -> u64 {
    let mut number = number;
    number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Alphabet, Dice, Purpose, code};

    #[test]
    fn codes_never_collide() {
        let codes: HashSet<String> = (0..200_000).map(|index| code::<40>(7, index, Alphabet::Base36, 8)).collect();
        assert_eq!(codes.len(), 200_000);
    }

    #[test]
    fn throws_depend_on_seed_purpose_and_index_alone() {
        let throw = |seed, purpose, index| Dice::new(seed, purpose, index).next();
        assert_eq!(throw(1, Purpose::Sale, 5), throw(1, Purpose::Sale, 5));
        let different =
            HashSet::from([throw(1, Purpose::Sale, 5), throw(2, Purpose::Sale, 5), throw(1, Purpose::Event, 5)]);
        assert_eq!(different.len(), 3);
    }
}
