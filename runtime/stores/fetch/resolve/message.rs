//! DNS messages (RFC 1035 §4): the one question that is asked, and what is believed of an answer.
//!
//! Pure, and written for bytes that somebody else chose: every read is checked, a compressed name only ever points back, and
//! an answer that is not to the question asked is not looked at.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// Bytes of an answer by UDP, which the question asks for (RFC 6891; 1,232 is what passes everywhere unfragmented).
pub const LARGEST_DATAGRAM: usize = 1_232;

const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Names that one name may stand for in turn.
const LONGEST_CHAIN: usize = 16;
/// Addresses taken from one answer.
const MOST_ADDRESSES: usize = 64;
/// Records looked at in one answer.
const MOST_RECORDS: usize = 1_024;

const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    A = 1,
    Aaaa = 28,
}

/// What a message says to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Empty where the name does not exist, or has none of the kind.
    Addresses(Vec<IpAddr>),
    /// The answer did not fit; ask by TCP.
    Truncated,
    /// The server could not say.
    Failed,
    /// No answer to this question, or no DNS message.
    Foreign,
}

/// A name as it is compared: lower-case labels.
type Name = Vec<Vec<u8>>;

/// The question for the addresses of `name`; `None` if it is no name.
#[must_use]
pub fn query(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let labels = labels(name)?;
    let mut message = Vec::with_capacity(name.len() + 32);
    message.extend_from_slice(&id.to_be_bytes());
    // Recursion desired; one question, one additional record.
    message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in &labels {
        message.push(u8::try_from(label.len()).ok()?);
        message.extend_from_slice(label);
    }
    message.push(0);
    message.extend_from_slice(&(kind as u16).to_be_bytes());
    message.extend_from_slice(&CLASS_IN.to_be_bytes());
    // OPT: how large an answer may be.
    let size = u16::try_from(LARGEST_DATAGRAM).ok()?;
    message.extend_from_slice(&[0, 0, 41]);
    message.extend_from_slice(&size.to_be_bytes());
    message.extend_from_slice(&[0; 6]);
    Some(message)
}

/// What `message` answers to the question that [`query`] made of the same arguments.
#[must_use]
pub fn answer(message: &[u8], id: u16, name: &str, kind: Kind) -> Answer {
    read(message, id, name, kind).unwrap_or(Answer::Foreign)
}

fn read(message: &[u8], id: u16, name: &str, kind: Kind) -> Option<Answer> {
    let mut reader = Reader { message, at: 0 };
    let [high, low] = reader.u16().filter(|read| *read == id).and_then(|_| reader.bytes(2)?.try_into().ok())?;
    let (questions, records) = (reader.u16()?, reader.u16()?);
    reader.bytes(4)?;
    let is_answer = high & 0x80 != 0 && high & 0x78 == 0;
    let asked = labels(name)?;
    if !is_answer || questions != 1 || reader.name()? != asked {
        return None;
    }
    if reader.u16()? != kind as u16 || reader.u16()? != CLASS_IN {
        return None;
    }
    if high & 0x02 != 0 {
        return Some(Answer::Truncated);
    }
    match low & 0x0f {
        NO_ERROR => Some(reader.records(records).map_or(Answer::Failed, |found| found.addresses(asked, kind))),
        NO_SUCH_NAME => Some(Answer::Addresses(Vec::new())),
        _ => Some(Answer::Failed),
    }
}

fn labels(name: &str) -> Option<Name> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = |label: &str| (1..=LONGEST_LABEL).contains(&label.len());
    let is_name = name.len() <= LONGEST_NAME && name.split('.').all(fits);
    is_name.then(|| name.split('.').map(|label| label.to_ascii_lowercase().into_bytes()).collect())
}

/// The records of an answer that matter.
#[derive(Default)]
struct Records {
    aliases: Vec<(Name, Name)>,
    addresses: Vec<(Name, IpAddr)>,
}

// === impl Records ===

impl Records {
    /// The addresses of `name`, along the names that it stands for.
    fn addresses(self, mut name: Name, kind: Kind) -> Answer {
        for _ in 0..LONGEST_CHAIN {
            match self.aliases.iter().find(|(alias, _)| *alias == name) {
                Some((_, canonical)) => name.clone_from(canonical),
                None => break,
            }
        }
        let is_of_kind = |address: &IpAddr| address.is_ipv4() == (kind == Kind::A);
        let found = self.addresses.into_iter().filter(|(owner, address)| *owner == name && is_of_kind(address));
        Answer::Addresses(found.map(|(_, address)| address).take(MOST_ADDRESSES).collect())
    }
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.message.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }

    fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A name, perhaps compressed. Each pointer leads to before where the name read so far began, so this ends.
    fn name(&mut self) -> Option<Name> {
        let mut name = Name::new();
        let (mut length, mut earliest) = (0, self.at);
        let mut after = None;
        loop {
            let first = self.u8()?;
            match first & 0xc0 {
                0 if first == 0 => break,
                0 => {
                    let label = self.bytes(usize::from(first))?;
                    length += label.len() + 1;
                    if length > LONGEST_NAME + 1 {
                        return None;
                    }
                    name.push(label.to_ascii_lowercase());
                }
                0xc0 => {
                    let target = usize::from(first & 0x3f) << 8 | usize::from(self.u8()?);
                    after = after.or(Some(self.at));
                    if target >= earliest {
                        return None;
                    }
                    (self.at, earliest) = (target, target);
                }
                _ => return None,
            }
        }
        if let Some(after) = after {
            self.at = after;
        }
        Some(name)
    }

    fn records(&mut self, count: u16) -> Option<Records> {
        let mut records = Records::default();
        for _ in 0..usize::from(count).min(MOST_RECORDS) {
            let owner = self.name()?;
            let (kind, class) = (self.u16()?, self.u16()?);
            // Nothing is kept, so how long it is good for does not matter.
            self.bytes(4)?;
            let length = usize::from(self.u16()?);
            let end = self.at.checked_add(length)?;
            if class == CLASS_IN {
                match (kind, length) {
                    (TYPE_CNAME, _) => records.aliases.push((owner, self.name()?)),
                    (kind, 4) if kind == Kind::A as u16 => {
                        let octets: [u8; 4] = self.bytes(4)?.try_into().ok()?;
                        records.addresses.push((owner, Ipv4Addr::from(octets).into()));
                    }
                    (kind, 16) if kind == Kind::Aaaa as u16 => {
                        let octets: [u8; 16] = self.bytes(16)?.try_into().ok()?;
                        records.addresses.push((owner, Ipv6Addr::from(octets).into()));
                    }
                    _ => {}
                }
            }
            if end > self.message.len() {
                return None;
            }
            self.at = end;
        }
        Some(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: u16 = 0x1234;

    /// The answer to a question for `name`, with these records in it.
    fn message(flags: [u8; 2], name: &str, kind: Kind, records: &[Vec<u8>]) -> Vec<u8> {
        let mut message = query(ID, name, kind).unwrap();
        message.truncate(message.len() - 11);
        message[2..4].copy_from_slice(&flags);
        message[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        message[11] = 0;
        for record in records {
            message.extend_from_slice(record);
        }
        message
    }

    fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length, data].concat()
    }

    fn wire(name: &str) -> Vec<u8> {
        let mut wire: Vec<u8> = Vec::new();
        for label in name.split('.') {
            wire.push(u8::try_from(label.len()).unwrap());
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }

    /// Points at the question's name.
    const QUESTION: &[u8] = &[0xc0, 12];
    const FOUND: [u8; 2] = [0x81, 0x80];

    fn ask(message: &[u8]) -> Answer {
        answer(message, ID, "a.example", Kind::A)
    }

    fn addresses(addresses: &[&str]) -> Answer {
        Answer::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }

    #[test]
    fn addresses_are_found_along_the_names_that_stand_for_one_another() {
        let records = [
            record(&wire("c.example"), 1, &[10, 0, 0, 1]),
            record(&wire("B.Example"), 5, &wire("c.example")),
            record(QUESTION, 5, &wire("b.example")),
            record(&wire("other.example"), 1, &[10, 0, 0, 9]),
            record(&wire("c.example"), 1, &[8, 8, 8, 8]),
            record(&wire("c.example"), 28, &[0; 16]),
        ];
        assert_eq!(ask(&message(FOUND, "A.example", Kind::A, &records)), addresses(&["10.0.0.1", "8.8.8.8"]));
        let v6 = [record(QUESTION, 28, &Ipv6Addr::LOCALHOST.octets())];
        let message = message(FOUND, "a.example", Kind::Aaaa, &v6);
        assert_eq!(answer(&message, ID, "a.example.", Kind::Aaaa), addresses(&["::1"]));
    }

    #[test]
    fn a_name_without_addresses_has_none_and_a_server_may_fail() {
        assert_eq!(ask(&message(FOUND, "a.example", Kind::A, &[])), addresses(&[]));
        assert_eq!(ask(&message([0x81, 0x83], "a.example", Kind::A, &[])), addresses(&[]));
        assert_eq!(ask(&message([0x81, 0x82], "a.example", Kind::A, &[])), Answer::Failed);
        assert_eq!(ask(&message([0x83, 0x80], "a.example", Kind::A, &[])), Answer::Truncated);
    }

    #[test]
    fn an_answer_to_another_question_is_foreign() {
        let good = message(FOUND, "a.example", Kind::A, &[record(QUESTION, 1, &[8, 8, 8, 8])]);
        assert_eq!(answer(&good, ID + 1, "a.example", Kind::A), Answer::Foreign);
        assert_eq!(answer(&good, ID, "b.example", Kind::A), Answer::Foreign);
        assert_eq!(answer(&good, ID, "a.example", Kind::Aaaa), Answer::Foreign);
        // A question is no answer.
        assert_eq!(ask(&query(ID, "a.example", Kind::A).unwrap()), Answer::Foreign);
        for length in 0..good.len() {
            assert!(matches!(ask(&good[..length]), Answer::Foreign | Answer::Failed), "{length}");
        }
    }

    #[test]
    fn names_that_point_in_circles_end() {
        for data in [&[0xc0, 12][..], &[0xc0, 40], &[1, b'x', 0xc0, 39], &[0xff, 0xff], &[0x80]] {
            let message = message(FOUND, "a.example", Kind::A, &[record(QUESTION, 5, data)]);
            assert!(
                matches!(ask(&message), Answer::Addresses(found) if found.is_empty())
                    || ask(&message) == Answer::Failed
            );
        }
        let ring: Vec<_> = [("a", "b"), ("b", "a")]
            .map(|(from, to)| record(&wire(&format!("{from}.example")), 5, &wire(&format!("{to}.example"))))
            .into();
        assert_eq!(ask(&message(FOUND, "a.example", Kind::A, &ring)), addresses(&[]));
    }

    #[test]
    fn what_is_no_name_is_not_asked() {
        for name in ["", ".", "a..b", &"a".repeat(64), &"a.".repeat(127)] {
            assert_eq!(query(ID, name, Kind::A).is_some(), name.len() == 254, "{name}");
        }
        assert!(query(ID, &"a.".repeat(128), Kind::A).is_none());
    }
}
