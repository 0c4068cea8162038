//! Boxed futures and errors for trait objects.

use std::{error::Error, pin::Pin};

/// A boxed future that can be sent to another thread, for methods of trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A boxed error of a module.
pub type BoxError = Box<dyn Error + Send + Sync>;
