//! The Dataflume server: API adapters, command line, wiring.
