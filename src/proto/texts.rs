//! The texts of a column, packed.

use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field, string};
use prost::{DecodeError, Message};

use super::cell::{field_len, put_length};

/// Texts, one after the other in one buffer. On the wire they are an `anomaly.v1.TextValues`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TextValues {
    text: String,
    /// Where each of them ends. A message has less than 4 GiB.
    ends: Vec<u32>,
    /// The text that is being decoded.
    next: String,
}

impl TextValues {
    /// The number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The length of all texts together, in bytes.
    pub fn n_bytes(&self) -> usize {
        self.text.len()
    }

    /// The texts in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.text[start..end as usize];
            start = end as usize;
            text
        })
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
    }
}

impl<T: AsRef<str>> FromIterator<T> for TextValues {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut values = Self::default();
        for text in texts {
            values.push(text.as_ref());
        }
        values
    }
}

impl Message for TextValues {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        for text in self.iter() {
            put_length(1, text.len(), buf);
            buf.put_slice(text.as_bytes());
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag != 1 {
            return skip_field(wire_type, tag, buf, ctx);
        }
        let mut next = std::mem::take(&mut self.next);
        string::merge(wire_type, &mut next, buf, ctx)?;
        self.push(&next);
        next.clear();
        self.next = next;
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.iter().map(|text| field_len(text.len())).sum()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As prost generates it.
    #[derive(Clone, PartialEq, Message)]
    struct Generated {
        #[prost(string, repeated, tag = "1")]
        values: Vec<String>,
    }

    proptest! {
        #[test]
        fn texts_are_those_that_prost_decodes(values in prop::collection::vec(".{0,200}", 0..20)) {
            let generated = Generated { values: values.clone() };
            let wire = generated.encode_to_vec();
            let packed = TextValues::decode(&wire[..]).expect("valid");
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), values.clone());
            prop_assert_eq!(&packed, &values.iter().collect());
            prop_assert_eq!(packed.encode_to_vec(), wire);
            prop_assert_eq!(packed.encoded_len(), generated.encoded_len());
        }

        #[test]
        fn no_bytes_cause_a_panic(wire in prop::collection::vec(any::<u8>(), 0..200)) {
            let packed = TextValues::decode(&wire[..]);
            let generated = Generated::decode(&wire[..]);
            prop_assert_eq!(packed.is_ok(), generated.is_ok());
            if let (Ok(packed), Ok(generated)) = (packed, generated) {
                prop_assert_eq!(packed.iter().collect::<Vec<_>>(), generated.values);
            }
        }
    }
}
