//! Runs one job: drives the engine against workers, shuffle and stores.
