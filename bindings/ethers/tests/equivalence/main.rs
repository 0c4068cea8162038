//! Both bindings mean the same bytes: calldata, answers, logs and errors.

mod calls;
mod errors;
mod logs;
mod values;
