//! An error with all its causes, in one line for the log. Clients never see it.

use std::error::Error;

/// The messages of an error and of what caused it, outermost first.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    chain
}
