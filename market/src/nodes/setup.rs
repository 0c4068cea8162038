//! What the parts of a program know about nodes: flags and fields, declared once.

use super::flags::{Flags, Names, OFFLINE};
use std::{any::Any, fmt, marker::PhantomData, sync::Arc};

/// The most flags of one set-up, the offline flag included: the bits of the state.
pub const MAX_FLAGS: usize = 64;

/// The name of the flag that every set-up has.
const OFFLINE_NAME: &str = "offline";

/// A value that a field can have. Setting a field to an equal value changes nothing.
pub trait FieldValue: PartialEq + Send + Sync + 'static {}

impl<T: PartialEq + Send + Sync + 'static> FieldValue for T {}

/// A field's value, of the type that its [`Field`] names.
pub(super) type Value = Arc<dyn Any + Send + Sync>;

/// Declares flags and fields. What it returns for each is the only way to name them later.
#[derive(Debug)]
pub struct SetupBuilder {
    version: u32,
    names: Arc<Names>,
    persistent: u64,
    fields: Vec<FieldSpec>,
}

/// The flags and fields of one or more machines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Setup(pub(super) Arc<Layout>);

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) version: u32,
    pub(super) names: Arc<Names>,
    /// Which bits of the state are stored.
    pub(super) persistent: u64,
    pub(super) fields: Vec<FieldSpec>,
}

pub(super) struct FieldSpec {
    name: &'static str,
    /// `None`: the field is not stored.
    pub(super) codec: Option<Codec>,
}

/// From a value to bytes; `None` for a value of another type than the field's, which no field can get.
type Encode = Box<dyn Fn(&Value) -> Option<Vec<u8>> + Send + Sync>;
/// From bytes to a value, if they are one.
type Decode = Box<dyn Fn(&[u8]) -> Option<Value> + Send + Sync>;

pub(super) struct Codec {
    pub(super) encode: Encode,
    pub(super) decode: Decode,
}

/// A field of one set-up with values of one type.
///
/// A value of another type is refused by the compiler:
///
/// ```compile_fail
/// # use cheque_market::{nodes::{NodeStateMachine, SetupBuilder}, store::Memory};
/// let mut setup = SetupBuilder::new(1);
/// let balance = setup.field::<u64>("balance").unwrap();
/// let setup = setup.build();
/// let mut machine = NodeStateMachine::<[u8; 32], _>::prepare(&setup, Memory::new(), b"n:")
///     .start(0)
///     .unwrap();
/// machine.set_field(&[0; 32], &balance, Some("a lot")).unwrap();
/// ```
///
/// The same with `Some(7)` compiles.
pub struct Field<T> {
    index: usize,
    names: Arc<Names>,
    value: PhantomData<fn() -> T>,
}

/// Why a flag or field cannot be declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The name is taken.
    #[error("the set-up already has a flag named {name:?}: choose another name")]
    DuplicateFlag {
        /// The name.
        name: &'static str,
    },
    /// The name is taken.
    #[error("the set-up already has a field named {name:?}: choose another name")]
    DuplicateField {
        /// The name.
        name: &'static str,
    },
    /// The state has no bit left.
    #[error(
        "flag {name:?} would be number {} of at most {MAX_FLAGS}, \"offline\" included: use a field, or two machines",
        MAX_FLAGS + 1
    )]
    TooManyFlags {
        /// The flag that did not fit.
        name: &'static str,
    },
}

impl SetupBuilder {
    /// A set-up with the offline flag alone.
    ///
    /// `version` must change whenever the order or meaning of persistent flags or fields does: what was stored by
    /// another version is deleted at start.
    pub fn new(version: u32) -> Self {
        Self {
            version,
            names: Arc::new(Names::new(vec![OFFLINE_NAME])),
            persistent: 0,
            fields: Vec::new(),
        }
    }

    /// Declares a flag that is forgotten when the machine stops.
    pub fn flag(&mut self, name: &'static str) -> Result<Flags, SetupError> {
        let mut names = self.names.list();
        if names.contains(&name) {
            return Err(SetupError::DuplicateFlag { name });
        }
        if names.len() == MAX_FLAGS {
            return Err(SetupError::TooManyFlags { name });
        }
        let bit = 1 << names.len();
        names.push(name);
        Ok(Flags::new(bit, &self.names))
    }

    /// Declares a flag that is stored.
    pub fn persistent_flag(&mut self, name: &'static str) -> Result<Flags, SetupError> {
        let flag = self.flag(name)?;
        self.persistent |= flag.bits_in(&self.names).unwrap_or_default();
        Ok(flag)
    }

    /// Declares a field that is forgotten when the machine stops.
    pub fn field<T: FieldValue>(&mut self, name: &'static str) -> Result<Field<T>, SetupError> {
        self.add(name, None)
    }

    /// Declares a field that is stored as the bytes that `encode` gives.
    ///
    /// `decode` returns `None` for bytes that it does not know; a node with such a field is not loaded.
    pub fn persistent_field<T: FieldValue>(
        &mut self,
        name: &'static str,
        encode: impl Fn(&T) -> Vec<u8> + Send + Sync + 'static,
        decode: impl Fn(&[u8]) -> Option<T> + Send + Sync + 'static,
    ) -> Result<Field<T>, SetupError> {
        let codec = Codec {
            encode: Box::new(move |value| value.downcast_ref().map(&encode)),
            decode: Box::new(move |bytes| decode(bytes).map(|value| Arc::new(value) as Value)),
        };
        self.add(name, Some(codec))
    }

    /// The flag that subscribers see while the machine does not run: before it has started, and after it has stopped.
    pub fn offline_flag(&self) -> Flags {
        Flags::new(OFFLINE, &self.names)
    }

    /// The set-up for machines.
    pub fn build(self) -> Setup {
        Setup(Arc::new(Layout {
            version: self.version,
            names: self.names,
            persistent: self.persistent,
            fields: self.fields,
        }))
    }

    fn add<T>(&mut self, name: &'static str, codec: Option<Codec>) -> Result<Field<T>, SetupError> {
        if self.fields.iter().any(|field| field.name == name) {
            return Err(SetupError::DuplicateField { name });
        }
        let index = self.fields.len();
        self.fields.push(FieldSpec { name, codec });
        Ok(Field {
            index,
            names: Arc::clone(&self.names),
            value: PhantomData,
        })
    }
}

impl Layout {
    /// The flags of these bits.
    pub(super) fn flags(&self, bits: u64) -> Flags {
        Flags::new(bits, &self.names)
    }

    /// The field's position, if it is of this set-up.
    pub(super) fn index<T>(&self, field: &Field<T>) -> Option<usize> {
        Arc::ptr_eq(&self.names, &field.names).then_some(field.index)
    }
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        Self {
            index: self.index,
            names: Arc::clone(&self.names),
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.index)
    }
}

impl fmt::Debug for FieldSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.codec.is_some() { ", stored" } else { "" };
        write!(f, "FieldSpec({}{kept})", self.name)
    }
}
