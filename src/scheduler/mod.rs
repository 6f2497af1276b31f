//! The workers between ledger and engine: judge, resolver, dispatcher, observer, collector, reaper.
