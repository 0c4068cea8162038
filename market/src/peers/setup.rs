//! Declarations of flags and fields.

use super::flags::{Flags, Names, OFFLINE};
use std::{any::Any, fmt, marker::PhantomData, sync::Arc};

/// Maximum number of flags of one setup, including the offline flag: the bits of the state.
pub const MAX_FLAGS: usize = 64;

/// Name of the flag that every setup has.
const OFFLINE_NAME: &str = "offline";

/// A value of a field. Setting a field to an equal value changes nothing.
pub trait FieldValue: PartialEq + Send + Sync + 'static {}

impl<T: PartialEq + Send + Sync + 'static> FieldValue for T {}

/// Value of a field, of the type of its [`Field`].
pub(super) type Value = Arc<dyn Any + Send + Sync>;

/// Declares flags and fields. The returned handles are the only way to refer to them.
#[derive(Debug)]
pub struct SetupBuilder {
    version: u32,
    names: Arc<Names>,
    persistent: u64,
    fields: Vec<FieldSpec>,
}

/// Flags and fields of one or more machines. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Setup(pub(super) Arc<Layout>);

#[derive(Debug)]
pub(super) struct Layout {
    pub(super) version: u32,
    pub(super) names: Arc<Names>,
    /// Bits of the state that are stored.
    pub(super) persistent: u64,
    pub(super) fields: Vec<FieldSpec>,
}

pub(super) struct FieldSpec {
    name: &'static str,
    /// `None` for a field that is not stored.
    pub(super) codec: Option<Codec>,
}

/// Encodes a value. `None` for a value of another type, which no field can get.
type Encode = Box<dyn Fn(&Value) -> Option<Vec<u8>> + Send + Sync>;
/// Decodes a value, if valid.
type Decode = Box<dyn Fn(&[u8]) -> Option<Value> + Send + Sync>;

pub(super) struct Codec {
    pub(super) encode: Encode,
    pub(super) decode: Decode,
}

/// A field of one setup with values of one type.
///
/// The compiler rejects a value of another type:
///
/// ```compile_fail
/// # use cheque_market::{peers::{PeerStateMachine, SetupBuilder}, store::Memory};
/// let mut setup = SetupBuilder::new(1);
/// let balance = setup.field::<u64>("balance").unwrap();
/// let setup = setup.build();
/// let mut machine = PeerStateMachine::<[u8; 32], _>::prepare(&setup, Memory::new(), b"n:")
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

/// An error of declaring a flag or field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Another flag has the name.
    #[error("the setup already has a flag named {name:?}; choose another name")]
    DuplicateFlag {
        /// Name of the flag.
        name: &'static str,
    },
    /// Another field has the name.
    #[error("the setup already has a field named {name:?}; choose another name")]
    DuplicateField {
        /// Name of the field.
        name: &'static str,
    },
    /// The state has no free bit.
    #[error(
        "flag {name:?} would be number {} of at most {MAX_FLAGS}, including \"offline\"; use a field, or two machines",
        MAX_FLAGS + 1
    )]
    TooManyFlags {
        /// Name of the flag.
        name: &'static str,
    },
}

impl SetupBuilder {
    /// Returns a setup with only the offline flag.
    ///
    /// Change `version` whenever the order or meaning of persistent flags or fields changes: records of another
    /// version are deleted at start.
    pub fn new(version: u32) -> Self {
        Self {
            version,
            names: Arc::new(Names::new(vec![OFFLINE_NAME])),
            persistent: 0,
            fields: Vec::new(),
        }
    }

    /// Declares a flag that is lost when the machine stops.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for a duplicate name or too many flags.
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
    ///
    /// # Errors
    ///
    /// [`SetupError`] for a duplicate name or too many flags.
    pub fn persistent_flag(&mut self, name: &'static str) -> Result<Flags, SetupError> {
        let flag = self.flag(name)?;
        self.persistent |= flag.bits_in(&self.names).unwrap_or_default();
        Ok(flag)
    }

    /// Declares a field that is lost when the machine stops.
    ///
    /// # Errors
    ///
    /// [`SetupError::DuplicateField`].
    pub fn field<T: FieldValue>(&mut self, name: &'static str) -> Result<Field<T>, SetupError> {
        self.add(name, None)
    }

    /// Declares a field that is stored as the bytes of `encode`.
    ///
    /// `decode` returns `None` for unknown bytes; a peer with such a field is not loaded.
    ///
    /// # Errors
    ///
    /// [`SetupError::DuplicateField`].
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

    /// Returns the flag that subscribers see before the machine starts and after it has stopped.
    pub fn offline_flag(&self) -> Flags {
        Flags::new(OFFLINE, &self.names)
    }

    /// Returns the setup for machines.
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
    /// Returns the flags of these bits.
    pub(super) fn flags(&self, bits: u64) -> Flags {
        Flags::new(bits, &self.names)
    }

    /// Returns the position of the field if it belongs to this setup.
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
        let stored = if self.codec.is_some() { ", stored" } else { "" };
        write!(f, "FieldSpec({}{stored})", self.name)
    }
}
