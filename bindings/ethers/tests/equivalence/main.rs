//! Both bindings agree on all bytes: calldata, return values, logs and errors.

mod calls;
mod errors;
mod logs;
mod values;
