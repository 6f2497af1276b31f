//! The API on a real database, under the login it has in production.

mod agreements;
mod answers;
mod chain_events;
mod database;
mod description;
mod events;
mod filters;
mod jobs;
mod legacy;
mod logins;
mod logs;
mod old_clients;
mod queue;
mod rows;
mod service;
mod streams;
mod surroundings;
mod views;
