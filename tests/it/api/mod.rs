//! The API on a real database, under the login it has in production.

mod agreements;
mod chain_events;
mod database;
mod events;
mod jobs;
mod legacy;
mod logins;
mod logs;
mod queue;
mod rows;
mod service;
mod streams;
mod surroundings;
mod views;
