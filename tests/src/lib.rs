//! Whole-system tests: API scenarios, conformance with Beam's own suites, resilience.
